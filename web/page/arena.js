// The arena as a picture: a pixel a byte (or more bytes a pixel), a colour an operator, bright where it was just written.

const ARENA_COLUMNS = 256;

function operatorHue(index) {
    return (index * 47 + 200) % 360;
}

class ArenaMap {
    constructor(canvas) {
        this.canvas = canvas;
        this.context = canvas.getContext("2d");
    }

    // After Engine.setFrame().
    reset(engine) {
        const bytes = engine.arenaBytes;
        this.step = Math.ceil(bytes / (ARENA_COLUMNS * 512)); // bytes a pixel
        const pixels = Math.ceil(bytes / this.step);
        this.canvas.width = ARENA_COLUMNS;
        this.canvas.height = Math.ceil(pixels / ARENA_COLUMNS);
        this.image = this.context.createImageData(this.canvas.width, this.canvas.height);
        this.glow = new Uint8Array(pixels);
        this.before = new Uint8Array(bytes);
        this.segments = new Map();
        this.regions = engine.regions;
        this.pixels = pixels;
    }

    // Colour of each pixel while a segment runs: [r, g, b] a pixel.
    #colours(segment) {
        let found = this.segments.get(segment);
        if (!found) {
            found = new Uint8Array(3 * this.pixels).fill(24);
            for (const { operator, first, last, offset, size } of this.regions) {
                if (first <= segment && segment <= last) {
                    const [r, g, b] = operator < 0 ? [150, 150, 150] : hueToRgb(operatorHue(operator));
                    for (let p = Math.floor(offset / this.step); p * this.step < offset + size; p++) {
                        found.set([r, g, b], 3 * p);
                    }
                }
            }
            this.segments.set(segment, found);
        }
        return found;
    }

    draw(engine) {
        const now = engine.arenaData();
        const colours = this.#colours(engine.segment());
        const { data } = this.image;
        for (let p = 0; p < this.pixels; p++) {
            const at = p * this.step;
            let changed = false;
            for (let i = at; i < at + this.step && i < now.length; i++) {
                changed ||= now[i] !== this.before[i];
            }
            this.glow[p] = changed ? 255 : this.glow[p] * 0.85;
            const value = 0.35 + 0.4 * Math.abs(((now[at] + 128) & 255) - 128) / 128;
            const glow = this.glow[p] / 255;
            for (let i = 0; i < 3; i++) {
                const colour = colours[3 * p + i] * value;
                data[4 * p + i] = colour + (255 - colour) * 0.6 * glow;
            }
            data[4 * p + 3] = 255;
        }
        this.before.set(now);
        this.context.putImageData(this.image, 0, 0);
    }
}

function hueToRgb(hue) {
    const channel = (n) => {
        const k = (n + hue / 30) % 12;
        return 255 * (0.6 - 0.36 * Math.max(-1, Math.min(k - 3, 9 - k, 1)));
    };
    return [channel(0), channel(8), channel(4)];
}
