// The engine (engine/web.c) and a model in it. All that goes wrong is a Refusal, whose text is for people.

class Refusal extends Error {}

const ALIGNMENT = 16;
const LARGEST_SIDE = 4096; // of a frame
const LARGEST_MEMORY = 1 << 30; // bytes that a model may have in the page
const STEPS = 8; // rows of operators, at a stretch
const TASKS = { 1: "detection", 2: "classification", 3: "layer", 4: "map" };
const STATUS = ["", "is cut off", "is misplaced", "is damaged", "is damaged", "is not for this engine", "can't be used so",
    "needs more memory", "is in another state"]; // rnnp_status_t

// The build of the engine that this browser runs: with SIMD if it can.
async function compileEngine(builds) {
    try {
        return { module: await WebAssembly.compile(builds.simd), simd: true };
    } catch {
        return { module: await WebAssembly.compile(builds.plain), simd: false };
    }
}

class Engine {
    // module: of compileEngine(); blob: bytes of a .rnnp file; name: for messages
    constructor(module, blob, name) {
        this.wasm = new WebAssembly.Instance(module, {}).exports;
        this.end = this.wasm.__heap_base.value;
        this.blob = blob;
        const at = this.#take(blob.length);
        this.#bytes(at, blob.length).set(blob);
        if (this.wasm.load(at, blob.length) !== 0) {
            throw new Refusal(`${name} ${this.#failure()}`);
        }
        const [task, height, width, channels, count, labels, threshold, iou, crc, title, label, bytes, numbers] =
            this.#numbers(this.wasm.describe(), 13);
        Object.assign(this, { height, width, channels, threshold, iou, crc: crc >>> 0, bytes });
        this.task = TASKS[task];
        this.name = this.#text(title);
        this.labels = this.#texts(label, labels);
        this.givesNumbers = numbers !== 0; // which have no probabilities
        this.operators = Array.from({ length: count }, (_, i) => this.#operator(i));
        if (this.task === "layer") {
            throw new Refusal(`${name} is a single operator, ${this.operators[0].kind}, made for networks that a script puts ` +
                "together: no picture goes into it. A whole model ends in detection heads, a dense layer or a map.");
        }
        this.seen = this.#take(height * width * channels); // what it sees: int8
        this.chances = this.#take(2 * Math.max(labels, 1));
        this.start = this.end; // of what depends on the frame
        this.setFrame({ width, height, format: channels === 1 ? FORMATS.GRAY8 : FORMATS.RGB888 });
    }

    // The frames to come. scales: of the size that fits, 1 first; each is a run over the frame.
    setFrame({ width, height, format, mirror = false, scales = [1] }) {
        this.frame = { width, height, format, mirror, scales };
        this.end = this.start;
        this.arenaBytes = 0;
        for (const scale of scales) {
            this.wasm.set_frame(width, height, format, mirror, Math.round(scale * 256));
            this.arenaBytes = Math.max(this.arenaBytes, this.wasm.arena_size() >>> 0);
        }
        this.wasm.set_frame(width, height, format, mirror, Math.round(scales[0] * 256));
        if (this.arenaBytes === 0) {
            throw new Refusal(`a frame of ${width}x${height} pixels can't be taken: sides are 1 to ${LARGEST_SIDE} pixels`);
        }
        this.arena = this.#take(this.arenaBytes);
        this.frameBytes = this.wasm.frame_bytes();
        this.pixels = this.#take(this.frameBytes);
        this.row = this.#take(Math.max(this.width * this.channels, 1));
        this.regions = this.#regions();
    }

    // Puts a canvas's pixels into the frame, a strip at a time.
    takePicture(context) {
        const { width, height, format } = this.frame;
        const strip = Math.max(1, Math.min(height, Math.floor((1 << 20) / width)));
        const rgba = this.#take(4 * width * strip);
        const rowBytes = this.frameBytes / height;
        for (let y = 0; y < height; y += strip) {
            const rows = Math.min(strip, height - y);
            this.#bytes(rgba, 4 * width * rows).set(context.getImageData(0, y, width, rows).data);
            this.wasm.pack(rgba, width * rows, format, this.pixels + y * rowBytes);
        }
        this.end = rgba;
    }

    // Bytes of the frame, as a camera would deliver them.
    frameData() {
        return this.#bytes(this.pixels, this.frameBytes).slice();
    }

    setFrameData(data) {
        this.#bytes(this.pixels, this.frameBytes).set(data);
    }

    // Runs the frame. A generator: yields every few steps, so that a page can look after other things; behind the last row
    // there may be half of the work. threshold: 0..32767
    *run(threshold) {
        const { scales } = this.frame;
        for (let i = 0; i < scales.length; i++) {
            this.#check(i === 0 ? this.wasm.begin(this.arena, this.arenaBytes, threshold)
                : this.wasm.begin_scale(this.arena, this.arenaBytes, Math.round(scales[i] * 256)));
            const [rows] = this.#numbers(this.wasm.progress(this.arena), 1);
            for (let y = 0; y < rows; y++) {
                this.#check(this.wasm.push(this.arena, this.pixels));
                yield* this.#work(y);
            }
        }
    }

    // The golden check's picture, in the same way. The frame must be the model's own.
    *runGolden() {
        this.#check(this.wasm.golden_begin(this.arena, this.arenaBytes));
        for (let y = 0; y < this.height; y++) {
            this.#check(this.wasm.golden_push(this.arena, this.row));
            yield* this.#work(y);
        }
    }

    // Uses up the row that was pushed. Yields its number.
    *#work(y) {
        while (this.wasm.work(this.arena, this.seen, STEPS)) {
            yield y;
        }
        yield y;
    }

    resultCrc() {
        return this.wasm.result_crc(this.arena) >>> 0;
    }

    // [x, y, width, height, score], best first, pixels of the frame, scores of 0..32767. iou: 0..32767
    detections(iou) {
        const count = this.wasm.detect(this.arena, iou);
        this.#check(count < 0 ? 1 : 0);
        return Array.from({ length: count }, (_, i) => Array.from(this.#numbers(this.wasm.found(i), 5)));
    }

    // One a label, 0..32767
    probabilities() {
        this.#check(this.wasm.classify(this.arena, this.chances));
        return Array.from(new Uint16Array(this.wasm.memory.buffer, this.chances, this.labels.length));
    }

    // { height, width, channels, values }: int8, a pixel after the other
    map() {
        const at = this.wasm.map(this.arena);
        this.#check(at === 0 ? 1 : 0);
        const [values, rowBytes, height, width, channels] = this.#numbers(at, 5);
        const all = new Int8Array(height * width * channels);
        for (let y = 0; y < height; y++) {
            all.set(new Int8Array(this.wasm.memory.buffer, values + y * rowBytes, width * channels), y * width * channels);
        }
        return { height, width, channels, values: all };
    }

    // Rows made so far: of the input and of each operator.
    rowsMade() {
        return Array.from(this.#numbers(this.wasm.rows_made(this.arena), this.operators.length + 1));
    }

    segment() {
        return this.#numbers(this.wasm.progress(this.arena), 3)[2];
    }

    // Views of memory: valid until the next call.
    seenData() {
        return new Int8Array(this.wasm.memory.buffer, this.seen, this.height * this.width * this.channels);
    }

    arenaData() {
        return this.#bytes(this.arena, this.arenaBytes);
    }

    #operator(index) {
        const [kind, height, width, channels, arena, macs] = this.#numbers(this.wasm.operator_info(index), 6);
        return { kind: KINDS[kind], height, width, channels, arena, macs: macs >>> 0 };
    }

    #regions() {
        const found = [];
        for (let at; (at = this.wasm.region(found.length)) !== 0;) {
            const [what, operator, first, last, offset, size] = this.#numbers(at, 6);
            found.push({ what: this.#text(what), operator, first, last, offset, size });
        }
        return found;
    }

    #check(status) {
        if (status !== 0) {
            throw new Refusal(`${this.name} ${this.#failure()}`);
        }
    }

    #failure() {
        const [status, operator, what, expected, given] = this.#numbers(this.wasm.failure(), 5);
        const where = operator < 0 ? this.#text(what) : `${this.#text(what)} of operator ${operator}`;
        const number = status === 4 ? (n) => "0x" + (n >>> 0).toString(16).padStart(8, "0") : (n) => n >>> 0;
        return `${STATUS[status]}: ${where}: expected ${number(expected)}, given ${number(given)}`;
    }

    // Memory of so many bytes behind all that was taken.
    #take(bytes) {
        const at = Math.ceil(this.end / ALIGNMENT) * ALIGNMENT;
        const { memory } = this.wasm;
        const missing = Math.ceil((at + bytes - memory.buffer.byteLength) / 65536);
        try {
            if (at + bytes > LARGEST_MEMORY) {
                throw new RangeError();
            }
            if (missing > 0) {
                memory.grow(missing);
            }
        } catch {
            throw new Refusal(`this needs ${(at + bytes).toLocaleString("en")} bytes of memory, more than the page has`);
        }
        this.end = at + bytes;
        return at;
    }

    #bytes(at, count) {
        return new Uint8Array(this.wasm.memory.buffer, at, count);
    }

    #numbers(at, count) {
        return new Int32Array(this.wasm.memory.buffer, at, count);
    }

    #text(at) {
        const bytes = new Uint8Array(this.wasm.memory.buffer, at);
        return new TextDecoder().decode(bytes.slice(0, bytes.indexOf(0)));
    }

    #texts(at, count) {
        const bytes = new Uint8Array(this.wasm.memory.buffer);
        return Array.from({ length: count }, () => {
            const found = this.#text(at);
            at = bytes.indexOf(0, at) + 1;
            return found;
        });
    }
}
