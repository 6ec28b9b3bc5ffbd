// This file is part of rnnpool. MIT licence, see LICENSE.
//
// What a sketch of ours uses of Arduino's core, on a computer: the serial line is standard input and output, and loop() is
// called until the input ends.
#ifndef ARDUINO_H
#define ARDUINO_H

#include <stdio.h>
#include <stdlib.h>

class HardwareSerial {
  public:
    void begin(unsigned long) {
    }
    int read() {
        int value = getchar();
        if (value < 0) {
            exit(0);
        }
        return value;
    }
    void print(const char *text) {
        fputs(text, stdout);
    }
    void print(int number) {
        printf("%d", number);
    }
    void print(unsigned long number) {
        printf("%lu", number);
    }
    void println(const char *text) {
        puts(text);
    }
    void println(unsigned long number) {
        printf("%lu\n", number);
    }
};
static HardwareSerial Serial;

inline void delay(unsigned long) {
    exit(1); // a sketch waits for ever where something is wrong
}

void setup();
void loop();

#endif // ARDUINO_H
