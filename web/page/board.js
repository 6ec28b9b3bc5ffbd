// A board on a serial line (Web Serial): the packets of docs/serial.md, and examples/serial_frames.py as its end of it.

const KINDS_OF_PACKETS = Object.fromEntries([..."HIBDANRES"].map((letter) => [letter, letter.charCodeAt(0)]));
const PACKET = { header: 10, crc: 4, payload: 240, boxes: 23, noFrame: 0xffff, ownThreshold: 0xffff, protocol: 2 };
const TRIES = 6; // of a packet
const WENT_AWAY = "The board went away.";
const PATIENCE = 500; // milliseconds for its answer at first; twice as many each time

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, i) => {
    for (let k = 0; k < 8; k++) {
        i = (i >>> 1) ^ (i & 1 ? 0xedb88320 : 0);
    }
    return i;
});

function crc32(bytes) {
    return ~bytes.reduce((crc, byte) => (crc >>> 8) ^ CRC_TABLE[(crc ^ byte) & 255], -1) >>> 0;
}

function encodePacket(kind, frame, index, payload = new Uint8Array(0)) {
    const bytes = new Uint8Array(PACKET.header + payload.length + PACKET.crc);
    const view = new DataView(bytes.buffer);
    bytes.set([0xf5, 0xac, kind, payload.length]);
    view.setUint16(4, frame, true);
    view.setUint16(6, index, true);
    view.setUint16(8, crc32(bytes.subarray(2, 8)) & 0xffff, true);
    bytes.set(payload, PACKET.header);
    view.setUint32(PACKET.header + payload.length, crc32(bytes.subarray(2, PACKET.header + payload.length)), true);
    return bytes;
}

// Intact packets among bytes that come; what is none is text.
class PacketDecoder {
    constructor() {
        this.bytes = [];
        this.text = "";
    }

    *feed(more) {
        this.bytes.push(...more);
        while (this.bytes.length > 0) {
            const packet = this.#first();
            if (packet === null) {
                return; // more has to come
            }
            if (packet) {
                yield packet;
            } else {
                this.text = (this.text + String.fromCharCode(this.bytes.shift())).slice(-4000);
            }
        }
    }

    // null: not complete; false: the first byte begins none
    #first() {
        const { bytes } = this;
        if (bytes[0] !== 0xf5 || (bytes.length > 1 && bytes[1] !== 0xac)) {
            return false;
        }
        if (bytes.length < PACKET.header) {
            return null;
        }
        const head = Uint8Array.from(bytes.slice(0, PACKET.header));
        const view = new DataView(head.buffer);
        if (view.getUint16(8, true) !== (crc32(head.subarray(2, 8)) & 0xffff) || head[3] > PACKET.payload) {
            return false;
        }
        const end = PACKET.header + head[3];
        if (bytes.length < end + PACKET.crc) {
            return null;
        }
        const all = Uint8Array.from(bytes.slice(0, end + PACKET.crc));
        if (new DataView(all.buffer).getUint32(end, true) !== crc32(all.subarray(2, end))) {
            return false;
        }
        bytes.splice(0, all.length);
        return { kind: head[2], frame: view.getUint16(4, true), index: view.getUint16(6, true),
            payload: all.slice(PACKET.header, end) };
    }
}

class Board {
    // port: of navigator.serial.requestPort(); script: bytes of serial_frames.py
    static async connect(port, script) {
        const board = new Board(port);
        try {
            await port.open({ baudRate: 115200 });
        } catch (error) {
            throw new Refusal(`The port does not open: ${error.message.replace(/\.$/, "")}. Another program may have it.`);
        }
        board.reader = port.readable.getReader();
        board.writer = port.writable.getWriter();
        board.gone = board.#read();
        try {
            board.info = (await board.#hello(2)) ?? (await board.#startScript(script));
            return board;
        } catch (error) {
            await board.close();
            throw error;
        }
    }

    constructor(port) {
        this.port = port;
        this.decoder = new PacketDecoder();
        this.waiting = [];
        this.packets = [];
        this.frame = 0;
        this.lost = false;
    }

    // Ends when the board does not give any more bytes: unplugged, or the port was closed.
    async #read() {
        try {
            for (let part; !(part = await this.reader.read()).done;) {
                this.packets.push(...this.decoder.feed(part.value));
                this.#wake();
            }
        } catch {
            // unplugged
        }
        this.lost = true;
        this.#wake();
    }

    #wake() {
        this.waiting.splice(0).forEach((done) => done());
    }

    async #more(milliseconds) {
        await new Promise((done) => {
            this.waiting.push(done);
            setTimeout(done, milliseconds);
        });
        if (this.lost) {
            throw new Refusal(WENT_AWAY);
        }
    }

    // The first packet that `wanted` takes, null if there is none in this time. Others are thrown away.
    async #receive(wanted, milliseconds) {
        for (const end = performance.now() + milliseconds; ;) {
            while (this.packets.length > 0) {
                const packet = this.packets.shift();
                if (wanted(packet)) {
                    return packet;
                }
            }
            const left = end - performance.now();
            if (left <= 0) {
                return null;
            }
            await this.#more(left);
        }
    }

    async #write(bytes) {
        try {
            await this.writer.write(bytes);
        } catch {
            throw new Refusal(WENT_AWAY);
        }
    }

    // Sends until the answer comes. What was damaged (NAK) is sent again at once. stop: whether none can come.
    async #ask(packet, wanted, tries = TRIES, stop = () => false) {
        const K = KINDS_OF_PACKETS;
        for (let i = 0; i < tries && !stop(); i++) {
            await this.#write(packet);
            const answer = await this.#receive((p) => p.kind === K.N || p.kind === K.E || wanted(p), PATIENCE * 2 ** i);
            if (answer?.kind === K.E) {
                throw new Refusal(`The board says ${new TextDecoder().decode(answer.payload)}`);
            }
            if (answer && answer.kind !== K.N) {
                return answer;
            }
        }
        return null;
    }

    async #hello(tries, stop) {
        const K = KINDS_OF_PACKETS;
        await this.#write(new Uint8Array(PACKET.header + PACKET.payload + PACKET.crc)); // ends what was cut off
        const answer = await this.#ask(encodePacket(K.H, 0, 0), (p) => p.kind === K.I, tries, stop);
        const info = answer && JSON.parse(new TextDecoder().decode(answer.payload));
        if (info && info.protocol !== PACKET.protocol) {
            throw new Refusal(`The board speaks protocol ${info.protocol}, this page ${PACKET.protocol}: take examples/serial_frames.py of the same version.`);
        }
        return info;
    }

    // What the board prints, until it ends so.
    async #text(end, milliseconds) {
        for (const until = performance.now() + milliseconds; !this.decoder.text.endsWith(end);) {
            const left = until - performance.now();
            if (left <= 0) {
                return false;
            }
            await this.#more(left);
        }
        return true;
    }

    async #startScript(script) {
        const say = (text) => this.#write(new TextEncoder().encode(text));
        await say("\r\x03\x03");
        await this.#more(200);
        this.decoder.text = "";
        await say("\r\x01");
        if (!(await this.#text("raw REPL; CTRL-B to exit\r\n>", 3000))) {
            throw new Refusal("There is no MicroPython at this port: neither a REPL nor serial_frames.py answers.");
        }
        for (let at = 0; at < script.length; at += 256) { // as mpremote does: no board loses bytes at this pace
            await this.#write(script.slice(at, at + 256));
            await new Promise((done) => setTimeout(done, 10));
        }
        this.decoder.text = "";
        await say("\x04");
        // The raw REPL: OK, what the script prints, \x04, its error, \x04.
        const ended = () => /^OK[^\x04]*\x04([^\x04]*)\x04/.exec(this.decoder.text);
        const info = await this.#hello(4, ended);
        if (!info) {
            const said = ended()?.[1] || this.decoder.text.replace(/^OK/, "");
            const last = said.replace(/[^\x20-\x7e\n]/g, "").trim().split("\n").pop();
            throw new Refusal(`The script does not run on the board${last ? `: ${last}` : ""}. Has its firmware rnnpool, and the face model?`);
        }
        return info;
    }

    // pixels: bytes of a frame. threshold: 0..32767, null: the model's own. { boxes: [x, y, w, h, score of 0..32767],
    // microseconds }
    async detect(pixels, { width, height, format }, threshold) {
        const K = KINDS_OF_PACKETS;
        const frame = (this.frame = (this.frame + 1) & 0xffff);
        const begin = new DataView(new ArrayBuffer(8));
        begin.setUint16(0, width, true);
        begin.setUint16(2, height, true);
        begin.setUint8(4, format);
        begin.setUint8(5, PACKET.boxes);
        begin.setUint16(6, threshold ?? PACKET.ownThreshold, true);
        const own = (p) => p.frame === frame;
        const packets = [[K.B, 0, new Uint8Array(begin.buffer)]];
        for (let at = 0, index = 0; at < pixels.length; at += PACKET.payload, index++) {
            packets.push([K.D, index, pixels.slice(at, at + PACKET.payload)]);
        }
        const send = async (number) => {
            const [kind, index, payload] = packets[number];
            const answer = await this.#ask(encodePacket(kind, frame, index, payload),
                (p) => own(p) && (p.kind === K.R || (p.kind === K.A && p.index === number)));
            if (!answer) {
                throw new Refusal("The board does not answer any more.");
            }
            return answer.kind === K.R ? answer : null;
        };
        for (let number = 0; number < packets.length - 1; number++) {
            await send(number);
        }
        let result = null;
        for (let i = 0; i < 3 && !result; i++) { // the last one again if its result was lost
            result = (await send(packets.length - 1)) ?? (await this.#receive((p) => own(p) && p.kind === K.R, 20000));
        }
        if (!result) {
            throw new Refusal("The board gave no result in a minute.");
        }
        const view = new DataView(result.payload.buffer);
        const boxes = Array.from({ length: view.getUint16(0, true) }, (_, i) =>
            Array.from({ length: 5 }, (_, k) => view.getInt16(8 + 10 * i + 2 * k, true)));
        return { boxes, microseconds: view.getUint32(4, true) };
    }

    async close() {
        const ignore = () => {};
        // The script ends, and the REPL gives a prompt for people.
        await this.writer?.write(encodePacket(KINDS_OF_PACKETS.S, 0, 0)).catch(ignore);
        await this.writer?.write(new TextEncoder().encode("\r\x02")).catch(ignore);
        await this.reader?.cancel().catch(ignore);
        this.reader?.releaseLock();
        this.writer?.releaseLock();
        await this.port.close().catch(ignore);
    }
}
