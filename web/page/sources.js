// Where pictures come from: the camera, a file, a drawing. A source has a width and a height, pixels, and draws itself.

class Source {
    constructor(what, element, width, height) {
        Object.assign(this, { what, element, width, height, live: element instanceof HTMLVideoElement });
    }

    draw(context, width, height) {
        context.imageSmoothingQuality = "high";
        context.fillRect(0, 0, width, height); // black behind what is transparent
        context.drawImage(this.element, 0, 0, width, height);
    }

    // The next picture of a video; at once if it has no clock.
    async next() {
        const { element } = this;
        await new Promise((done) => {
            if (this.live && element.requestVideoFrameCallback && !element.paused) {
                element.requestVideoFrameCallback(done);
                setTimeout(done, 500); // none may come while the page is hidden
            } else {
                requestAnimationFrame(done);
            }
        });
    }

    close() {
        if (this.live) {
            this.element.pause();
            this.element.srcObject?.getTracks().forEach((track) => track.stop());
            this.element.srcObject = null;
            if (this.element.src) {
                URL.revokeObjectURL(this.element.src);
            }
            this.element.removeAttribute("src");
        } else {
            this.element.close?.();
        }
    }
}

function newVideo() {
    const video = document.createElement("video");
    Object.assign(video, { muted: true, loop: true, playsInline: true });
    return video;
}

const CAMERA_TROUBLE = {
    NotAllowedError: "the browser does not let this page use the camera. Allow it beside the page's address (or in the " +
        "settings of the phone) and try again",
    NotFoundError: "there is no camera",
    NotReadableError: "another program uses the camera",
    OverconstrainedError: "the camera can't deliver such pictures",
    SecurityError: "the browser lets no page from here use the camera",
};

// facing: "user" (a laptop's, a phone's at the front) or "environment"
async function openCamera(facing) {
    if (!navigator.mediaDevices?.getUserMedia) {
        throw new Refusal("No camera: the browser lets only pages from https: or from a file use it. Pictures and videos work.");
    }
    const video = newVideo();
    try {
        video.srcObject = await navigator.mediaDevices.getUserMedia({
            audio: false,
            video: { facingMode: facing, width: { ideal: 640 }, height: { ideal: 480 } },
        });
        await video.play();
    } catch (error) {
        throw new Refusal(`No camera: ${CAMERA_TROUBLE[error.name] ?? error.message}. Pictures and videos work all the same.`);
    }
    return new Source("the camera", video, video.videoWidth, video.videoHeight);
}

async function openPicture(file) {
    const bitmap = await createImageBitmap(file);
    return new Source(file.name, bitmap, bitmap.width, bitmap.height);
}

async function openVideo(file) {
    const video = newVideo();
    video.src = URL.createObjectURL(file);
    await new Promise((done, fail) => {
        video.onloadeddata = done;
        video.onerror = fail;
        setTimeout(fail, 10000);
    });
    if (video.videoWidth === 0) {
        throw new Error("no pictures in it");
    }
    await video.play();
    return new Source(file.name, video, video.videoWidth, video.videoHeight);
}

// What a file is: a model's bytes, or a source.
async function openFile(file) {
    if (file.size === 0) {
        throw new Refusal(`${file.name} is empty.`);
    }
    const head = new Uint8Array(await file.slice(0, 4).arrayBuffer());
    if (file.name.toLowerCase().endsWith(".rnnp") || String.fromCharCode(...head) === "RNNP") {
        if (file.size > LARGEST_MEMORY / 4) {
            throw new Refusal(`${file.name} has ${file.size.toLocaleString("en")} bytes: no model is so large.`);
        }
        return { model: new Uint8Array(await file.arrayBuffer()) };
    }
    for (const open of file.type.startsWith("video/") ? [openVideo] : [openPicture, openVideo]) {
        try {
            return { source: await open(file) };
        } catch {
            // maybe the next one
        }
    }
    const hint = /\.(hei[cf]|tiff?|dng|raw|cr2|nef)$/i.test(file.name) ? " Save it as JPEG or PNG." : "";
    throw new Refusal(`${file.name} is no picture or video that this browser can show (or too large for it), and no .rnnp model.${hint}`);
}

// A drawn scene with a few faces, for who has no picture at hand.
async function drawScene() {
    const canvas = new OffscreenCanvas(640, 480);
    const context = canvas.getContext("2d");
    let seed = 7;
    const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647;
    context.fillStyle = "#8fa3ad";
    context.fillRect(0, 0, 640, 480);
    for (let i = 0; i < 14; i++) {
        context.fillStyle = `hsl(${random() * 360} 25% ${25 + random() * 50}%)`;
        context.fillRect(random() * 640, random() * 480, 30 + random() * 120, 20 + random() * 100);
    }
    const ellipse = (x, y, w, h, colour) => {
        context.fillStyle = colour;
        context.beginPath();
        context.ellipse(x, y, w, h, 0, 0, 2 * Math.PI);
        context.fill();
    };
    context.filter = "blur(1px)";
    for (const [x, y, s] of [[160, 190, 64], [400, 150, 40], [520, 300, 84]]) {
        ellipse(x, y - 0.25 * s, 0.86 * s, 1.05 * s, "#2b211c"); // hair
        ellipse(x, y, 0.74 * s, s, "#d8b59b");
        for (const side of [-1, 1]) {
            ellipse(x + side * 0.3 * s, y - 0.34 * s, 0.2 * s, 0.045 * s, "#4a372c"); // brow
            ellipse(x + side * 0.3 * s, y - 0.16 * s, 0.14 * s, 0.08 * s, "#fff8f0");
            ellipse(x + side * 0.3 * s, y - 0.16 * s, 0.07 * s, 0.075 * s, "#1c1713");
            ellipse(x + side * 0.36 * s, y + 0.24 * s, 0.2 * s, 0.16 * s, "#cf9f88"); // cheek
        }
        ellipse(x, y + 0.14 * s, 0.1 * s, 0.2 * s, "#bd937a");
        ellipse(x, y + 0.5 * s, 0.28 * s, 0.08 * s, "#80372f");
    }
    const bitmap = await createImageBitmap(canvas);
    return new Source("a drawing", bitmap, bitmap.width, bitmap.height);
}
