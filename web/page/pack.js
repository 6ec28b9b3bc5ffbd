// What the page carries: engines, models and scripts, as build.py packs them.

// Python's base64.b85encode(), which is 6 % shorter than base64.
function fromBase85(text) {
    const values = new Uint8Array(128).fill(84); // the last digit is the padding
    [...BASE85].forEach((digit, i) => (values[digit.charCodeAt(0)] = i));
    const groups = Math.ceil(text.length / 5);
    const view = new DataView(new ArrayBuffer(4 * groups));
    for (let g = 0; g < groups; g++) {
        let number = 0;
        for (let k = 5 * g; k < 5 * g + 5; k++) {
            number = number * 85 + (k < text.length ? values[text.charCodeAt(k)] : 84);
        }
        view.setUint32(4 * g, number);
    }
    return new Uint8Array(view.buffer, 0, Math.floor((text.length * 4) / 5));
}

// The pack: base85 of a gzip of the bytes, by name (build.py).
async function unpack(text) {
    const stream = new Blob([fromBase85(text)]).stream().pipeThrough(new DecompressionStream("gzip"));
    const all = new Uint8Array(await new Response(stream).arrayBuffer());
    let at = 0;
    return Object.fromEntries(PACKED.map(([name, bytes]) => [name, all.slice(at, (at += bytes))]));
}
