// The page: settings, models and sources, the loop over pictures (show.js shows what comes of it).

const $ = (id) => document.getElementById(id);
const ONE = 32767;
const NEAR = [1, 0.4]; // scales
const BUSY = 24; // milliseconds at a stretch
// builtIn: the name of one of our models, "" for a file's
const state = { engine: null, source: null, builtIn: "", file: "", added: {}, generation: 0, paused: false, facing: "user",
    times: [] };
const frameCanvas = document.createElement("canvas");
const frameContext = frameCanvas.getContext("2d", { willReadFrequently: true });
const seenContext = $("seen").getContext("2d");
const viewContext = $("view").getContext("2d");
const shownCanvas = document.createElement("canvas"); // the picture that is on its way
const shownContext = shownCanvas.getContext("2d");
const arenaMap = new ArenaMap($("arena"));

// ---- Messages

function say(text) {
    $("message").textContent = text;
}

// Runs what a person asked for; what goes wrong is said, and the page goes on.
async function attempt(action) {
    try {
        say("");
        await action();
    } catch (error) {
        say(error instanceof Refusal ? error.message : `This failed: ${error.message ?? error}`);
        if (!(error instanceof Refusal)) {
            console.error(error);
        }
    }
}

// ---- Settings

function threshold() {
    return $("threshold").dataset.own === "yes" ? state.engine.threshold : Math.round($("threshold").value * 327.68);
}

function iou() {
    return $("iou").dataset.own === "yes" ? state.engine.iou : Math.round($("iou").value * 327.68);
}

function showSliders() {
    $("threshold-value").textContent = (threshold() / 32768).toFixed(2);
    $("iou-value").textContent = (iou() / 32768).toFixed(2);
}

function resetSliders() {
    const { engine } = state;
    const detects = engine.task === "detection";
    for (const id of ["threshold", "iou"]) {
        $(id).value = Math.round(engine[id] / 327.68);
        $(id).dataset.own = "yes";
        $(`${id}-row`).hidden = !detects;
    }
    $("near-row").hidden = !detects;
    $("format").value = engine.channels === 1 ? "GRAY8" : "RGB888";
}

// Width and height of the board's frames: even widths, as formats of pixel pairs want.
function frameSize(source) {
    const side = Number($("size").value);
    const longest = Math.max(source.width, source.height);
    const factor = (side || Math.min(longest, LARGEST_SIDE)) / longest;
    const height = Math.max(1, Math.round(source.height * factor));
    const width = Math.max(1, Math.round(source.width * factor));
    return { width: pairs() ? Math.max(2, width - (width % 2)) : width, height };
}

function pairs() {
    return ["YUYV", "UYVY"].includes($("format").value);
}

// What comes of a source and the settings. A change of them makes a run that is on its way worthless.
function configure() {
    const { engine, source } = state;
    state.generation++;
    state.times = [];
    const { width, height } = source ? frameSize(source) : engine;
    const scales = engine.task === "detection" && $("near").checked ? NEAR : [1];
    engine.setFrame({ width, height, format: FORMATS[$("format").value], mirror: $("mirror").checked, scales });
    frameCanvas.width = width;
    frameCanvas.height = height;
    arenaMap.reset(engine);
    $("seen").width = engine.width;
    $("seen").height = engine.height;
    $("seen-size").textContent = `${engine.width}x${engine.height}, ${engine.channels === 1 ? "gray" : "in colour"}`;
    $("arena-bytes").textContent = engine.arenaBytes.toLocaleString("en");
    showSliders();
    showBoard();
    showScript();
    showOperators();
}

// ---- Models

// blob: bytes of a .rnnp file; builtIn: its name in firmwares. What ran before goes on if it is refused.
async function useModel(blob, { builtIn, file }) {
    const engine = new Engine(state.compiled.module, blob, file);
    const generation = ++state.generation;
    const begun = performance.now();
    for (const y of engine.runGolden()) {
        $("golden").textContent = `Golden check: row ${y + 1} of ${engine.height}`;
        await breathe();
        if (generation !== state.generation) {
            return;
        }
    }
    const computed = engine.resultCrc();
    if (computed !== engine.crc) {
        showModel();
        start();
        throw new Refusal(`${file} fails its golden check: 0x${hex(computed)} instead of 0x${hex(engine.crc)}. What it says can't be ` +
            "trusted.");
    }
    engine.checked = performance.now() - begun;
    Object.assign(state, { engine, builtIn, file });
    showModel();
    resetSliders();
    configure();
    start();
}

function showModel() {
    const { engine, builtIn, file } = state;
    $("model").value = builtIn || file;
    $("golden").textContent = `Golden check right: 0x${hex(engine.crc)}, as the desktop computed (${engine.checked.toFixed(0)} ms)`;
    $("about").textContent = `${engine.name}: ${engine.task} of ${engine.labels.join(", ")}; ${
        engine.bytes.toLocaleString("en")} bytes, input ${engine.width}x${engine.height}x${engine.channels}`;
}

function hex(number) {
    return (number >>> 0).toString(16).padStart(8, "0");
}

async function chooseModel() {
    const name = $("model").value;
    const added = state.added[name];
    await useModel(added ?? state.pack[name], { builtIn: added ? "" : name, file: name });
}

// A model of a file that was dropped. It stays in the list if it is sound.
async function addModel(blob, file) {
    const name = MODELS.includes(file) ? `${file}.rnnp` : file;
    const option = [...$("model").options].find((o) => o.value === name) ?? new Option(name, name);
    $("model").add(option);
    try {
        await useModel(blob, { builtIn: "", file: name });
        state.added[name] = blob;
    } finally {
        if (!state.added[name]) {
            option.remove();
        }
    }
}

// ---- Sources

function useSource(source) {
    state.source?.close();
    Object.assign(state, { source, paused: false });
    if (Number($("size").value) === 0 && Math.max(source.width, source.height) > LARGEST_SIDE) {
        say(`${source.what} has ${source.width}x${source.height} pixels: it is reduced to ${LARGEST_SIDE}, the most that the engine takes.`);
    }
    $("invitation").hidden = true;
    $("pause").hidden = !source.live;
    $("pause").textContent = "Pause";
    $("turn").hidden = source.what !== "the camera";
    const factor = Math.min(1, 960 / source.width);
    $("view").width = Math.round(source.width * factor);
    $("view").height = Math.max(1, Math.round(source.height * factor));
    Object.assign(shownCanvas, { width: $("view").width, height: $("view").height });
    configure();
    start();
}

async function openFiles(files) {
    for (const file of files) {
        const { model, source } = await openFile(file);
        if (model) {
            await addModel(model, file.name);
        } else {
            useSource(source);
        }
    }
}

// ---- The loop

// Lets the browser do what waits.
let turn = performance.now();
async function breathe(least = BUSY) {
    if (performance.now() - turn < least) {
        return;
    }
    await new Promise((done) => {
        const channel = new MessageChannel();
        channel.port1.onmessage = () => {
            channel.port1.close();
            done();
        };
        channel.port2.postMessage(0);
    });
    turn = performance.now();
}

async function start() {
    const generation = ++state.generation;
    try {
        while (generation === state.generation && state.source) {
            await oneFrame(generation);
            if (!state.source?.live || state.paused) {
                return;
            }
            await state.source.next();
        }
    } catch (error) {
        say(error instanceof Refusal ? error.message : `This failed: ${error.message ?? error}`);
    }
}

async function oneFrame(generation) {
    const { engine, source } = state;
    source.draw(frameContext, frameCanvas.width, frameCanvas.height);
    source.draw(shownContext, shownCanvas.width, shownCanvas.height);
    engine.takePicture(frameContext);
    if ($("slow").checked) {
        viewContext.drawImage(shownCanvas, 0, 0);
    }
    let time = 0;
    let begun = performance.now();
    for (const _ of engine.run(threshold())) {
        const now = performance.now();
        if ($("slow").checked) {
            time += now - begun;
            showProgress();
            await new Promise(requestAnimationFrame);
            begun = performance.now();
        } else if (now - turn >= BUSY) {
            time += now - begun;
            await breathe();
            begun = performance.now();
        }
        if (generation !== state.generation) {
            return;
        }
    }
    const detects = engine.task === "detection";
    const detections = detects ? engine.detections(iou()) : [];
    const probabilities = engine.task === "classification" && !engine.givesNumbers ? engine.probabilities() : [];
    const map = engine.task === "map" ? engine.map() : null;
    state.times.push(time + performance.now() - begun);
    showProgress();
    viewContext.drawImage(shownCanvas, 0, 0);
    showResults(detections, probabilities);
    if (map) {
        showMap(map);
    }
    // For programs that look on, as our tests do.
    const detail = { detections, probabilities, map, milliseconds: state.times.at(-1), frame: engine.frame, threshold: threshold(),
        iou: iou(), source: source.what, data: () => engine.frameData() };
    document.dispatchEvent(new CustomEvent("rnnpool-result", { detail }));
}

// ---- To take along

function saveFrame() {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([state.engine.frameData()]));
    link.download = "frame.raw";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

async function copyScript() {
    const text = $("script").textContent;
    try {
        await navigator.clipboard.writeText(text);
    } catch { // not allowed from a file: the old way
        getSelection().selectAllChildren($("script"));
        document.execCommand("copy");
    }
    $("copy").textContent = "Copied";
    setTimeout(() => ($("copy").textContent = "Copy"), 1500);
}

// ---- Start

function listen() {
    const changes = { size: configure, format: configure, mirror: configure, near: configure };
    for (const [id, action] of Object.entries(changes)) {
        $(id).addEventListener("change", () => attempt(() => {
            action();
            start();
        }));
    }
    for (const id of ["threshold", "iou"]) {
        $(id).addEventListener("input", () => attempt(() => {
            $(id).dataset.own = "";
            showSliders();
            showScript();
            start();
        }));
    }
    const clicks = {
        camera: async () => useSource(await openCamera(state.facing)),
        turn: async () => {
            state.facing = state.facing === "user" ? "environment" : "user";
            state.source?.close();
            useSource(await openCamera(state.facing));
        },
        open: () => $("file").click(),
        drawing: async () => useSource(await drawScene()),
        pause: async () => {
            state.paused = !state.paused;
            const { element } = state.source;
            $("pause").textContent = state.paused ? "Go on" : "Pause";
            if (state.paused) {
                element.pause();
            } else {
                await element.play();
                start();
            }
        },
        save: saveFrame,
        connect: connectBoard,
        send: sendFrame,
        disconnect: disconnectBoard,
        copy: copyScript,
    };
    for (const [id, action] of Object.entries(clicks)) {
        $(id).addEventListener("click", () => attempt(action));
    }
    $("model").addEventListener("change", () => attempt(chooseModel));
    $("file").addEventListener("change", () => attempt(async () => {
        await openFiles($("file").files);
        $("file").value = "";
    }));
    $("slow").addEventListener("change", start);
    document.addEventListener("dragover", (event) => {
        event.preventDefault();
        document.querySelector(".view").classList.add("over");
    });
    for (const type of ["dragleave", "drop"]) {
        document.addEventListener(type, () => document.querySelector(".view").classList.remove("over"));
    }
    document.addEventListener("drop", (event) => {
        event.preventDefault();
        attempt(() => openFiles(event.dataTransfer.files));
    });
}

async function main() {
    if (!("WebAssembly" in window) || !("DecompressionStream" in window)) {
        throw new Refusal("This browser is too old for this page: it needs WebAssembly and DecompressionStream (browsers of 2023).");
    }
    for (const name of Object.keys(FORMATS)) {
        if (name !== "YUV420") { // as GRAY8 to a gray model, and no model in colour takes it
            $("format").add(new Option(name, name));
        }
    }
    state.pack = await unpack($("pack").textContent);
    state.compiled = await compileEngine(state.pack);
    $("build").textContent = state.compiled.simd ? "WebAssembly with SIMD" : "WebAssembly";
    for (const name of MODELS) {
        $("model").add(new Option(name, name));
    }
    $("board-card").hidden = !("serial" in navigator);
    listen();
    await chooseModel();
}

attempt(main);
