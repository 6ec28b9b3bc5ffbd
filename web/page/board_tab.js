// The card of a board: what its buttons do (board.js talks to it).

function showConnection() {
    for (const [id, hidden] of [["connect", state.board], ["send", !state.board], ["disconnect", !state.board], ["keep-row", !state.board]]) {
        $(id).hidden = Boolean(hidden);
    }
}

async function connectBoard() {
    $("board-says").textContent = "Connecting …";
    try {
        const port = await navigator.serial.requestPort();
        state.board = await Board.connect(port, state.pack["serial_frames.py"]);
    } catch (error) {
        $("board-says").textContent = "";
        if (error.name === "NotFoundError") { // nobody chose one
            return;
        }
        throw error;
    }
    const { name, task, input, ram, free, rnnpool } = state.board.info;
    $("board-says").textContent = `${name}, ${task}, input ${input.join("x")}: ${ram.toLocaleString("en")} bytes of arena, ${
        free.toLocaleString("en")} free; rnnpool ${rnnpool}`;
    showConnection();
    const { board } = state;
    board.gone.then(async () => {
        if (state.board === board) { // unplugged
            await disconnectBoard();
            say(WENT_AWAY);
        }
    });
}

async function disconnectBoard() {
    const { board } = state;
    Object.assign(state, { board: null, onBoard: null });
    $("keep").checked = false;
    showConnection();
    await board.close();
    $("board-says").textContent = "Disconnected.";
}

async function sendFrame() {
    $("send").disabled = true;
    try {
        do {
            const { engine, source } = state;
            if (!source) {
                throw new Refusal("There is no picture to send: camera, file or drawing.");
            }
            if (engine.frame.mirror) {
                throw new Refusal("Frames to a board are not mirrored: take the tick away.");
            }
            const own = $("threshold").dataset.own === "yes" || engine.task !== "detection";
            const { width, height } = engine.frame;
            const begun = performance.now();
            const found = await state.board.detect(engine.frameData(), engine.frame, own ? null : threshold());
            state.onBoard = { width, height, ...found };
            $("board-says").textContent = `${found.boxes.length} found by the board, in ${(found.microseconds / 1000).toFixed(0)} ms; with the line ${
                (performance.now() - begun).toFixed(0)} ms`;
            document.dispatchEvent(new CustomEvent("rnnpool-board", { detail: state.onBoard }));
            if (!source.live || state.paused) {
                start(); // draws it anew
            }
        } while ($("keep").checked && state.board);
    } finally {
        $("send").disabled = false;
    }
}
