// FastGRNN sweeps with hard non-linearities for training on a CPU: many short
// independent sequences, read in place (overlapping windows are not unfolded).
//
// Cell (x: C values, h: H values, weights stored input-major):
//   a = x W + h U         z = clamp((a + b_z + 1) / 2, 0, 1)     g = clamp(a + b_h, -1, 1)
//   h' = clamp(z h + (s_zeta (1 - z) + s_nu) g, -1, 1)           h = 0 before the first step
//
// Sequences are numbered (b, p, q); step t of one starts at x + b xb + p xp + q xq + t xt
// and its last state is stored at out + b ob + p op + q oq. The backward pass recomputes
// the states (they fit into the first level cache), so the forward pass saves nothing.
#include <cstdint>
#include <cstring>
#include <vector>

#define UNROLL _Pragma("GCC unroll 8")

typedef float vec_t __attribute__((vector_size(32)));
typedef float unaligned_t __attribute__((vector_size(32), aligned(4), may_alias)); // what memory holds
enum { LANES = 8, BLOCK = 4, MAX_STEPS = 64 };

struct geometry_t {
    int64_t batch, p, q, steps, inputs, hidden;
    int64_t xb, xp, xq, xt;
    int64_t ob, op, oq;
    int64_t threads;
};

static inline vec_t splat(float f) {
    return vec_t{ f, f, f, f, f, f, f, f };
}
static inline vec_t load(const float *p) {
    return *(const unaligned_t *)p;
}
static inline void store(float *p, vec_t v) {
    *(unaligned_t *)p = v;
}
static inline vec_t vmin(vec_t a, vec_t b) {
    return a < b ? a : b;
}
static inline vec_t vmax(vec_t a, vec_t b) {
    return a > b ? a : b;
}
static inline vec_t clamp(vec_t v, float lo, float hi) {
    return vmin(vmax(v, splat(lo)), splat(hi));
}

struct cell_t {
    const float *w, *u, *bz, *bh;
    float zeta, nu; // already through the sigmoid
};

// One block of BLOCK sequences; states[t][s][h] holds the state before step t, pre[t][s][h] the value of a.
template <int H>
static void forward_block(const cell_t &cell, const geometry_t &g, const float *const *x, float *states, float *pre) {
    constexpr int NV = H / LANES;
    memset(states, 0, sizeof(float) * BLOCK * H);
    for (int64_t t = 0; t < g.steps; t++) {
        const float *h = states + t * BLOCK * H;
        vec_t acc[BLOCK][NV];
        UNROLL for (int s = 0; s < BLOCK; s++) UNROLL for (int v = 0; v < NV; v++) acc[s][v] = splat(0.0f);
        for (int64_t c = 0; c < g.inputs; c++) {
            vec_t w[NV];
            UNROLL for (int v = 0; v < NV; v++) w[v] = load(cell.w + c * H + v * LANES);
            UNROLL for (int s = 0; s < BLOCK; s++) {
                vec_t xs = splat(x[s][t * g.xt + c]);
                UNROLL for (int v = 0; v < NV; v++) acc[s][v] += xs * w[v];
            }
        }
        if (t > 0) {
            for (int k = 0; k < H; k++) {
                vec_t u[NV];
                UNROLL for (int v = 0; v < NV; v++) u[v] = load(cell.u + k * H + v * LANES);
                UNROLL for (int s = 0; s < BLOCK; s++) {
                    vec_t hs = splat(h[s * H + k]);
                    UNROLL for (int v = 0; v < NV; v++) acc[s][v] += hs * u[v];
                }
            }
        }
        float *next = states + (t + 1) * BLOCK * H;
        UNROLL for (int v = 0; v < NV; v++) {
            vec_t bz = load(cell.bz + v * LANES) * 0.5f + 0.5f, bh = load(cell.bh + v * LANES);
            UNROLL for (int s = 0; s < BLOCK; s++) {
                int i = s * H + v * LANES;
                if (pre) {
                    store(pre + t * BLOCK * H + i, acc[s][v]);
                }
                vec_t z = clamp(acc[s][v] * 0.5f + bz, 0.0f, 1.0f);
                vec_t u = clamp(acc[s][v] + bh, -1.0f, 1.0f);
                vec_t n = z * load(h + i) + (cell.zeta * (1.0f - z) + cell.nu) * u;
                store(next + i, clamp(n, -1.0f, 1.0f));
            }
        }
    }
}

// Sequences n..n+BLOCK-1 of one image; those past the end repeat the last one.
struct block_t {
    const float *x[BLOCK];
    int64_t out[BLOCK], in[BLOCK];
    int valid;
};

static inline void locate(const geometry_t &g, const float *x, int64_t n, block_t *k) {
    int64_t count = g.p * g.q;
    k->valid = int(count - n < BLOCK ? count - n : BLOCK);
    UNROLL for (int s = 0; s < BLOCK; s++) {
        int64_t m = n + s < count ? n + s : count - 1, p = m / g.q, q = m % g.q;
        k->in[s] = p * g.xp + q * g.xq;
        k->x[s] = x + k->in[s];
        k->out[s] = p * g.op + q * g.oq;
    }
}

template <int H>
static void forward(const cell_t &cell, const geometry_t &g, const float *x, float *out) {
#pragma omp parallel for schedule(dynamic, 1) num_threads(g.threads)
    for (int64_t b = 0; b < g.batch; b++) {
        alignas(64) float states[(MAX_STEPS + 1) * BLOCK * H];
        for (int64_t n = 0; n < g.p * g.q; n += BLOCK) {
            block_t k;
            locate(g, x + b * g.xb, n, &k);
            forward_block<H>(cell, g, k.x, states, nullptr);
            for (int s = 0; s < k.valid; s++) {
                memcpy(out + b * g.ob + k.out[s], states + (g.steps * BLOCK + s) * H, sizeof(float) * H);
            }
        }
    }
}

// grad[k][:] += sum over n of left[n][k] * right[n][:], k in tiles of four, left padded to a multiple of four.
template <int H>
static void outer(const float *left, int64_t width, const float *right, int64_t count, float *grad) {
    constexpr int NV = H / LANES;
    for (int64_t k = 0; k < width; k += 4) {
        vec_t acc[4][NV];
        UNROLL for (int i = 0; i < 4; i++) UNROLL for (int v = 0; v < NV; v++)
            acc[i][v] = load(grad + (k + i) * H + v * LANES);
        for (int64_t n = 0; n < count; n++) {
            vec_t r[NV];
            UNROLL for (int v = 0; v < NV; v++) r[v] = load(right + n * H + v * LANES);
            UNROLL for (int i = 0; i < 4; i++) {
                vec_t l = splat(left[n * width + k + i]);
                UNROLL for (int v = 0; v < NV; v++) acc[i][v] += l * r[v];
            }
        }
        UNROLL for (int i = 0; i < 4; i++) UNROLL for (int v = 0; v < NV; v++)
            store(grad + (k + i) * H + v * LANES, acc[i][v]);
    }
}

// out[s][:] += a[s][o] * m[o][:] for BLOCK sequences, rows of NV vectors.
template <int H, int NV>
static inline void transposed_product(const float *a, const float *m, vec_t out[BLOCK][NV]) {
    for (int o = 0; o < H; o++) {
        vec_t row[NV];
        UNROLL for (int v = 0; v < NV; v++) row[v] = load(m + o * NV * LANES + v * LANES);
        UNROLL for (int s = 0; s < BLOCK; s++) {
            vec_t as = splat(a[s * H + o]);
            UNROLL for (int v = 0; v < NV; v++) out[s][v] += as * row[v];
        }
    }
}

// Gradients of one weight set, laid out as the caller's array: W (padded to wide inputs), U, b_z, b_h, s_zeta, s_nu (H lanes each).
template <int H, int NVC>
static void backward(const cell_t &cell, const geometry_t &g, const float *x, const float *dout, float *dx, float *dw,
    float *du, float *dbz, float *dbh, float *dscalars) {
    constexpr int NV = H / LANES, WIDE = NVC * LANES;
    std::vector<float> ut(H * H), wt(H * WIDE, 0.0f);
    for (int k = 0; k < H; k++) {
        for (int o = 0; o < H; o++) {
            ut[o * H + k] = cell.u[k * H + o];
        }
    }
    for (int c = 0; c < g.inputs; c++) {
        for (int o = 0; o < H; o++) {
            wt[o * WIDE + c] = cell.w[c * H + o];
        }
    }
#pragma omp parallel num_threads(g.threads)
    {
        std::vector<float> sum((WIDE + H + 4) * H, 0.0f);
        float *sw = sum.data(), *su = sw + WIDE * H, *sbz = su + H * H, *sbh = sbz + H, *szeta = sbh + H,
              *snu = szeta + H;
        std::vector<float> buffer((MAX_STEPS + 1) * BLOCK * (3 * H + WIDE), 0.0f);
        float *states = buffer.data(), *pre = states + (MAX_STEPS + 1) * BLOCK * H,
              *da = pre + (MAX_STEPS + 1) * BLOCK * H, *xs = da + (MAX_STEPS + 1) * BLOCK * H;
#pragma omp for schedule(dynamic, 1)
        for (int64_t b = 0; b < g.batch; b++) {
            for (int64_t n = 0; n < g.p * g.q; n += BLOCK) {
                block_t k;
                locate(g, x + b * g.xb, n, &k);
                forward_block<H>(cell, g, k.x, states, pre);
                vec_t dh[BLOCK][NV];
                UNROLL for (int s = 0; s < BLOCK; s++) UNROLL for (int v = 0; v < NV; v++)
                    dh[s][v] = s < k.valid ? load(dout + b * g.ob + k.out[s] + v * LANES) : splat(0.0f);
                for (int64_t t = g.steps - 1; t >= 0; t--) {
                    const float *h = states + t * BLOCK * H, *a = pre + t * BLOCK * H;
                    float *d = da + t * BLOCK * H;
                    const vec_t zero = splat(0.0f);
                    UNROLL for (int v = 0; v < NV; v++) {
                        vec_t bz = load(cell.bz + v * LANES) * 0.5f + 0.5f, bh = load(cell.bh + v * LANES);
                        vec_t gz = zero, gh = zero, gzeta = zero, gnu = zero;
                        UNROLL for (int s = 0; s < BLOCK; s++) {
                            int i = s * H + v * LANES;
                            vec_t av = load(a + i), hv = load(h + i);
                            vec_t zr = av * 0.5f + bz, ur = av + bh;
                            vec_t z = clamp(zr, 0.0f, 1.0f), u = clamp(ur, -1.0f, 1.0f);
                            vec_t q = cell.zeta * (1.0f - z) + cell.nu;
                            vec_t r = z * hv + q * u;
                            vec_t dv = (vmax(r, -r) <= 1.0f) ? dh[s][v] : zero;
                            vec_t dz = ((zr > 0.0f) & (zr < 1.0f)) ? dv * (hv - cell.zeta * u) * 0.5f : zero;
                            vec_t dg = (vmax(ur, -ur) < 1.0f) ? dv * q : zero;
                            gzeta += dv * (1.0f - z) * u;
                            gnu += dv * u;
                            gz += dz;
                            gh += dg;
                            store(d + i, dz + dg);
                            dh[s][v] = dv * z;
                        }
                        store(sbz + v * LANES, load(sbz + v * LANES) + gz);
                        store(sbh + v * LANES, load(sbh + v * LANES) + gh);
                        store(szeta + v * LANES, load(szeta + v * LANES) + gzeta);
                        store(snu + v * LANES, load(snu + v * LANES) + gnu);
                    }
                    if (t > 0) {
                        transposed_product<H, NV>(d, ut.data(), dh);
                    }
                    if (dx) {
                        vec_t gx[BLOCK][NVC];
                        UNROLL for (int s = 0; s < BLOCK; s++) UNROLL for (int v = 0; v < NVC; v++) gx[s][v] = zero;
                        transposed_product<H, NVC>(d, wt.data(), gx);
                        for (int s = 0; s < k.valid; s++) {
                            float *to = dx + b * g.xb + k.in[s] + t * g.xt;
                            float row[WIDE];
                            UNROLL for (int v = 0; v < NVC; v++) store(row + v * LANES, gx[s][v]);
                            for (int64_t c = 0; c < g.inputs; c++) {
                                to[c] += row[c];
                            }
                        }
                    }
                    UNROLL for (int s = 0; s < BLOCK; s++)
                        memcpy(xs + (t * BLOCK + s) * WIDE, k.x[s] + t * g.xt, sizeof(float) * g.inputs);
                }
                outer<H>(xs, WIDE, da, g.steps * BLOCK, sw);
                outer<H>(states + BLOCK * H, H, da + BLOCK * H, (g.steps - 1) * BLOCK, su);
            }
        }
#pragma omp critical
        {
            for (int64_t i = 0; i < g.inputs * H; i++) {
                dw[i] += sw[i];
            }
            for (int i = 0; i < H * H; i++) {
                du[i] += su[i];
            }
            for (int i = 0; i < H; i++) {
                dbz[i] += sbz[i];
                dbh[i] += sbh[i];
                dscalars[0] += szeta[i];
                dscalars[1] += snu[i];
            }
        }
    }
}

static bool supported(const geometry_t &g) {
    return (g.hidden == 8 || g.hidden == 16 || g.hidden == 32) && g.steps >= 1 && g.steps <= MAX_STEPS &&
        g.inputs >= 1 && g.inputs <= 32;
}

// Both return 0, or -1 for a shape that they do not handle (the caller has a slower path). Gradients are added to.
extern "C" int fastgrnn_forward(const geometry_t *g, const float *x, const float *w, const float *u, const float *bz,
    const float *bh, float zeta, float nu, float *out) {
    if (!supported(*g)) {
        return -1;
    }
    cell_t cell = { w, u, bz, bh, zeta, nu };
    switch (g->hidden) {
        case 8:
            forward<8>(cell, *g, x, out);
            break;
        case 16:
            forward<16>(cell, *g, x, out);
            break;
        default:
            forward<32>(cell, *g, x, out);
    }
    return 0;
}

template <int H>
static void backward_any(const cell_t &cell, const geometry_t &g, const float *x, const float *dout, float *dx,
    float *dw, float *du, float *dbz, float *dbh, float *dscalars) {
    if (g.inputs <= 8) {
        backward<H, 1>(cell, g, x, dout, dx, dw, du, dbz, dbh, dscalars);
    } else if (g.inputs <= 16) {
        backward<H, 2>(cell, g, x, dout, dx, dw, du, dbz, dbh, dscalars);
    } else {
        backward<H, 4>(cell, g, x, dout, dx, dw, du, dbz, dbh, dscalars);
    }
}

extern "C" int fastgrnn_backward(const geometry_t *g, const float *x, const float *w, const float *u, const float *bz,
    const float *bh, float zeta, float nu, const float *dout, float *dx, float *dw, float *du, float *dbz, float *dbh,
    float *dscalars) {
    if (!supported(*g)) {
        return -1;
    }
    cell_t cell = { w, u, bz, bh, zeta, nu };
    switch (g->hidden) {
        case 8:
            backward_any<8>(cell, *g, x, dout, dx, dw, du, dbz, dbh, dscalars);
            break;
        case 16:
            backward_any<16>(cell, *g, x, dout, dx, dw, du, dbz, dbh, dscalars);
            break;
        default:
            backward_any<32>(cell, *g, x, dout, dx, dw, du, dbz, dbh, dscalars);
    }
    return 0;
}
