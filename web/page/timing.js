// Time on a Cortex-M4, from the cycle figures of docs/benchmarks.json (a cycle model, zero wait states).

const MEGAHERTZ = 168;

// Cycles a multiply-add, by kind, over the models that were counted; 0 of kinds that none of them has.
function cyclesByKind() {
    const sums = {};
    for (const { operators } of Object.values(BENCHMARKS)) {
        for (const { kind, macs, cycles } of operators) {
            const sum = (sums[kind] ??= { macs: 0, cycles: 0 });
            sum.macs += macs;
            sum.cycles += cycles;
        }
    }
    return Object.fromEntries(Object.entries(sums).map(([kind, { macs, cycles }]) => [kind, macs ? cycles / macs : 0]));
}

// Cycles of each operator of a model. name: of one of ours, else "". counted: its own figures; else from those of operators of the same kind, and what has
// no figure is in `unknown`.
function operatorCycles(engine, name) {
    const own = BENCHMARKS[name];
    if (own) {
        return { cycles: own.operators.filter((o) => o.kind !== "rest").map((o) => o.cycles), total: own.cycles, counted: true,
            unknown: [] };
    }
    const rates = cyclesByKind();
    const cycles = engine.operators.map((o) => (rates[o.kind] ?? 0) * o.macs);
    const unknown = [...new Set(engine.operators.filter((o) => !rates[o.kind]).map((o) => o.kind))];
    return { cycles, total: cycles.reduce((a, b) => a + b, 0), counted: false, unknown };
}

// A sentence about a frame's time there: { seconds, text }.
function boardTime(engine, name) {
    const { total, counted, unknown } = operatorCycles(engine, name);
    const { width, height, format, scales } = engine.frame;
    const own = width === engine.width && height === engine.height && (engine.channels === 1) === (format === FORMATS.GRAY8) &&
        (engine.channels === 1 || format === FORMATS.RGB888);
    const extra = own ? 0 : BENCHMARKS[name]?.frames[`${width}x${height} ${formatName(format)}`];
    const cycles = scales.length * (total + Math.max(extra ?? 0, 0));
    const notes = [counted ? "counted" : unknown.length ? `at least: ${unknown.join(", ")} not counted`
        : "estimated from the same kinds of operators"];
    if (extra === undefined) {
        notes.push("frames of this size and format take some more");
    }
    return { seconds: cycles / (MEGAHERTZ * 1e6), text: `${(cycles / 1e6).toFixed(1)} M cycles (${notes.join("; ")})` };
}

function formatName(format) {
    return Object.keys(FORMATS).find((name) => FORMATS[name] === format);
}
