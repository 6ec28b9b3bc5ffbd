// The MicroPython script for what the page is set to.

// A value of 0..32767 as the module takes it: rounded to what gives the same again.
function fraction(q15) {
    return (q15 / 32768).toFixed(5).replace(/0+$/, "").replace(/\.$/, ".0");
}

function describeFrame({ width, height, format, mirror, scales }) {
    const found = [`width=${width}`, `height=${height}`, `format=rnnpool.${formatName(format)}`];
    if (mirror) {
        found.push("mirror=True");
    }
    if (scales.length > 1) {
        found.push(`scale=(${scales.join(", ")})`);
    }
    return found;
}

// builtIn: the model's name in firmwares, "" for the file's; threshold, iou: 0..32767
function micropythonScript(engine, { file, builtIn, threshold, iou }) {
    const { frame } = engine;
    const arguments_ = describeFrame(frame);
    const detects = engine.task === "detection";
    if (detects && threshold !== engine.threshold) {
        arguments_.push(`threshold=${fraction(threshold)}`);
    }
    if (detects && iou !== engine.iou) {
        arguments_.push(`iou=${fraction(iou)}`);
    }
    const source = builtIn ? `"${builtIn}"` : JSON.stringify(`./${file}`);
    const where = builtIn ? "in the firmware, or ROMFS" : "copy it to the board; or to ROMFS, where it is used in place";
    const result = engine.givesNumbers
        ? "    for value in model.run(frame, **shape):\n        print((value - model.output_zero_point) * model.output_scale)"
        : engine.task === "map"
        ? "    values = model.run(frame, **shape)  # rows of pixels of channels\n    print(len(values), min(values), max(values))"
        : detects
        ? "    for x, y, w, h, score in model.detect(frame, **shape):\n        print(x, y, w, h, score)"
        : "    for label, chance in zip(model.labels, model.classify(frame, **shape)):\n        print(label, chance)";
    return `import rnnpool

model = rnnpool.Model(${source}, width=${frame.width}, height=${frame.height})  # ${where}
shape = dict(${arguments_.join(", ")})
frame = bytearray(${engine.frameBytes})  # model.ram: ${engine.arenaBytes} bytes beside it

camera = open("frame.raw", "rb")  # the page's "save the frame"; put your camera here: anything with readinto()
while camera.readinto(frame) == len(frame):
${result}
`;
}
