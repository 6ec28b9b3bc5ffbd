// What is shown of a frame's run and of the model: pictures, boxes, chances, tables.

function median(values) {
    return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}

function showProgress() {
    const { engine } = state;
    const seen = engine.seenData();
    const image = seenContext.createImageData(engine.width, engine.height);
    for (let i = 0, p = 0; i < engine.width * engine.height; i++) {
        for (let c = 0; c < 3; c++) {
            image.data[4 * i + c] = seen[engine.channels === 1 ? p : p + c] + 128;
        }
        image.data[4 * i + 3] = 255;
        p += engine.channels;
    }
    seenContext.putImageData(image, 0, 0);
    arenaMap.draw(engine);
    const rows = engine.rowsMade();
    engine.operators.forEach((o, i) => {
        $("operators").children[i].children[3].textContent = `${rows[i + 1]} of ${o.height}`;
    });
}

function showResults(detections, probabilities) {
    const { engine } = state;
    $("here").textContent = `${median(state.times.slice(-20)).toFixed(1)} ms`;
    const factor = $("view").width / engine.frame.width;
    const size = Math.max(12, $("view").width / 45);
    Object.assign(viewContext, { lineWidth: size / 5, font: `${size}px system-ui, sans-serif`, textBaseline: "bottom" });
    const { width, height, boxes } = state.onBoard ?? {};
    const others = width === engine.frame.width && height === engine.frame.height ? boxes : [];
    for (const [x, y, w, h, score, colour] of [...detections.map((d) => [...d, "#ffd43b"]), ...others.map((d) => [...d, "#74c0fc"])]) {
        const label = (score / 32768).toFixed(2);
        viewContext.strokeStyle = colour;
        viewContext.strokeRect(x * factor, y * factor, w * factor, h * factor);
        viewContext.fillStyle = colour;
        const top = y * factor > size * 1.3 ? y * factor : (y + h) * factor + size * 1.3;
        viewContext.fillRect(x * factor, top - size * 1.2, viewContext.measureText(label).width + 6, size * 1.2);
        viewContext.fillStyle = "#1c2430";
        viewContext.fillText(label, x * factor + 3, top - size * 0.05);
    }
    $("chances").replaceChildren(...probabilities.map((p, i) => bar(engine.labels[i], p / 32768, "")));
    $("answer").textContent = engine.givesNumbers ? "numbers, which the script below prints: no probabilities" :
        engine.task !== "detection" ? "" : detections.length
        ? `${detections.length} found: ${detections.slice(0, 8).map(([x, y, w, h]) => `${w}x${h} at ${x}, ${y}`).join("; ")}${
            detections.length > 8 ? "; …" : ""} (pixels of the ${engine.frame.width}x${engine.frame.height} frame)`
        : `nothing found${$("near").checked ? "" : "; if it fills the picture, tick “also near ones”"}`;
}

// A map over the picture: of several channels the one with the largest value, else how large it is.
function showMap({ height, width, channels, values }) {
    const { engine } = state;
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext("2d");
    const image = context.createImageData(width, height);
    const cells = new Array(Math.max(channels, 1)).fill(0);
    for (let i = 0; i < width * height; i++) {
        const pixel = values.subarray(i * channels, (i + 1) * channels);
        const best = pixel.reduce((found, value, channel) => (value > pixel[found] ? channel : found), 0);
        cells[best]++;
        image.data.set([...hueToRgb(operatorHue(best)), channels > 1 ? 130 : pixel[0] + 128], 4 * i);
    }
    context.putImageData(image, 0, 0);
    // The frame fills the upper left part of what the model sees.
    const factor = Math.min(engine.width / engine.frame.width, engine.height / engine.frame.height);
    viewContext.imageSmoothingEnabled = false;
    viewContext.drawImage(canvas, 0, 0, ($("view").width * engine.width) / (engine.frame.width * factor),
        ($("view").height * engine.height) / (engine.frame.height * factor));
    $("chances").replaceChildren(...(channels > 1 ? cells : []).map((count, i) => bar(engine.labels[i], count / (width * height),
        `hsl(${operatorHue(i)} 60% 50%)`)));
    $("answer").textContent = `a map of ${height}x${width}x${channels}${channels > 1 ? ": the largest channel in colour" : ""}`;
}

// A line with a part of a whole.
function bar(label, part, colour) {
    const line = document.createElement("div");
    line.className = "chance";
    const [name, middle, value] = [0, 0, 0].map(() => line.appendChild(document.createElement("span")));
    name.textContent = label;
    middle.style.width = `${100 * part}%`;
    middle.style.background = colour;
    value.textContent = part.toFixed(3);
    return line;
}

function showBoard() {
    const { seconds, text } = boardTime(state.engine, state.builtIn);
    $("board").textContent = `${seconds.toFixed(2)} s`;
    $("board-note").textContent = text;
}

function showScript() {
    const { engine, builtIn, file } = state;
    $("script").textContent = micropythonScript(engine, { file, builtIn, threshold: threshold(), iou: iou() });
}

function showOperators() {
    const { engine, builtIn } = state;
    const { cycles, counted } = operatorCycles(engine, builtIn);
    const most = Math.max(...cycles, 1);
    $("operators").replaceChildren(...engine.operators.map((o, i) => {
        const row = document.createElement("tr");
        const [colour, name, output, , memory, bar] = Array.from({ length: 6 }, () => row.appendChild(document.createElement("td")));
        colour.className = "colour";
        const hue = `hsl(${operatorHue(i)} 60% 50%)`;
        colour.appendChild(document.createElement("span")).style.background = hue;
        name.textContent = `${i} ${o.kind}`;
        output.textContent = `${o.height}x${o.width}x${o.channels}`;
        memory.textContent = o.arena.toLocaleString("en");
        bar.className = "bar";
        const part = bar.appendChild(document.createElement("span"));
        part.style.background = hue;
        part.style.width = `${(70 * cycles[i]) / most}%`;
        bar.append(`${counted ? "" : "≈ "}${(cycles[i] / 1e6).toFixed(2)} M`);
        return row;
    }));
}
