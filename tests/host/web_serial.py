"""A port as navigator.serial gives it, for tests of the page: what goes over it goes through functions of the test."""

import base64
import time
from collections.abc import Callable
from typing import Any

# window.nextPort, window.openFails: what may go wrong.
FAKE_PORT = """
let toPage = null;
const text = (bytes) => Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
window.lineGives = (data) => {
    if (!window.lineClosed && toPage) {
        toPage.enqueue(Uint8Array.from(atob(data), (c) => c.charCodeAt(0)));
    }
};
window.unplug = () => {
    toPage.error(new DOMException("The device has been lost.", "NetworkError"));
    window.lineClosed = true;
};
const port = {
    async open({ baudRate }) {
        if (window.openFails) {
            throw new DOMException(window.openFails, "NetworkError");
        }
        Object.assign(window, { baudRate, lineClosed: false });
        port.readable = new ReadableStream({ start: (controller) => (toPage = controller) });
        port.writable = new WritableStream({
            write(bytes) {
                if (window.lineClosed) {
                    throw new DOMException("The device has been lost.", "NetworkError");
                }
                return window.lineTakes(btoa(text(bytes)));
            },
        });
    },
    async close() { window.lineClosed = true; },
};
Object.defineProperty(navigator, "serial", { value: { requestPort: async () => window.nextPort?.() ?? port } });
window.onBoard = [];
document.addEventListener("rnnpool-board", ({ detail }) => window.onBoard.push(detail));
"""


def until(page: Any, give: Callable[[], bytes], said: str, seconds: float = 120) -> None:
    """Lets the line work until the page says something. give: what comes from the board."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        if data := give():
            page.evaluate("(data) => window.lineGives(data)", base64.b64encode(data).decode())
        page.wait_for_timeout(20)
        if said in page.inner_text("#board-says") + page.inner_text("#message"):
            return
    raise AssertionError(f"wanted {said!r}: {page.inner_text('#board-says')!r} {page.inner_text('#message')!r}")
