/* Scales 8-bit pixels down by Pillow's bicubic filter, value by value as Pillow does it, but several at a time.
 *
 * First across, then down, each sum rounded to 8 bits; weights are whole numbers of 22 bits. Source: Pillow's
 * src/libImaging/Resample.c (precompute_coeffs, normalize_coeffs_8bpc, ImagingResampleHorizontal_8bpc and …Vertical_8bpc).
 *
 * Sizes and edges come from a decoded picture's header, so they are untrusted: all are checked before anything is read,
 * and places within a row are cut to the row. No state outlives a call. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ALWAYS_INLINE inline __attribute__((always_inline))

enum {
    WEIGHT_BITS = 32 - 8 - 2,
    HALF = 1 << (WEIGHT_BITS - 1),
    MAX_SIDE_PX = 65500,
    MAX_BANDS = 3,
    WIDTH = 4, /* vectors that are summed up side by side, in registers */
};

typedef int32_t Four __attribute__((vector_size(16))); /* a pixel, the fourth number unused */
typedef int32_t Eight __attribute__((vector_size(32)));

/* The weights of one direction: output n is the sum of `count[n]` inputs from `first[n]` on. */
typedef struct {
    int taps; /* weights that each output has room for */
    int *first, *count;
    int32_t *weights; /* [outputs * taps] */
} Weights;

static double bicubic(double x) {
    if (x < 0.0) x = -x;
    if (x < 1.0) return ((-0.5 + 2.0) * x - (-0.5 + 3.0)) * x * x + 1;
    if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * -0.5;
    return 0.0;
}

static void release(Weights *made) {
    free(made->first);
    free(made->count);
    free(made->weights);
}

/* 0: there is no memory; `made` is to be released in any case. */
static int make_weights(Weights *made, int inputs, float begin, float end, int outputs) {
    double scale = (double)(end - begin) / outputs, stretch = scale < 1.0 ? 1.0 : scale, support = 2.0 * stretch;
    made->taps = (int)ceil(support) * 2 + 1;
    made->first = calloc((size_t)outputs, sizeof *made->first);
    made->count = calloc((size_t)outputs, sizeof *made->count);
    made->weights = calloc((size_t)outputs * made->taps, sizeof *made->weights);
    double *shares = calloc((size_t)made->taps, sizeof *shares);
    int is_made = made->first && made->count && made->weights && shares;
    for (int n = 0; n < outputs && is_made; n++) {
        double centre = begin + (n + 0.5) * scale, sum = 0.0, each = 1.0 / stretch;
        int first = (int)(centre - support + 0.5), last = (int)(centre + support + 0.5);
        if (first < 0) first = 0;
        if (last > inputs) last = inputs;
        int count = last - first;
        if (count > made->taps) count = made->taps;
        if (count < 0) count = 0;
        for (int t = 0; t < count; t++) sum += shares[t] = bicubic((t + first - centre + 0.5) * each);
        for (int t = 0; t < count; t++) {
            double share = (sum != 0.0 ? shares[t] / sum : shares[t]) * (1 << WEIGHT_BITS);
            made->weights[(size_t)n * made->taps + t] = (int32_t)(share < 0 ? share - 0.5 : share + 0.5);
        }
        made->first[n] = first;
        made->count[n] = count;
    }
    free(shares);
    return is_made;
}

typedef struct {
    const uint8_t *pixels;
    int width, height, bands;
    int out_width, out_height;
    Weights x, y;
    int32_t *wide;   /* a row of the input, as numbers, four to a pixel */
    int32_t *scaled; /* the last `y.taps` rows that were scaled across, [y.taps * stride] */
    int32_t *sums;   /* a row of the answer */
    int stride;      /* numbers in a row of the answer, and room for a vector behind them */
} Scaling;

/* 0 ... 255 of sums. */
static ALWAYS_INLINE int32_t rounded(int32_t sum) {
    int32_t value = sum >> WEIGHT_BITS;
    value = value < 0 ? 0 : value;
    return value > 255 ? 255 : value;
}

/* One row of three bands across. */
static ALWAYS_INLINE void across(const Scaling *of, const uint8_t *in, int32_t *restrict out) {
    int32_t *restrict wide = of->wide;
    for (int x = 0; x < of->width; x++)
        for (int band = 0; band < 3; band++) wide[4 * x + band] = in[3 * x + band];
    for (int n = 0; n < of->out_width; n++) {
        const int32_t *weight = of->x.weights + (size_t)n * of->x.taps, *from = wide + 4 * (size_t)of->x.first[n];
        Four sum = {HALF, HALF, HALF, HALF};
        for (int t = 0, count = of->x.count[n]; t < count; t++) {
            Four pixel;
            memcpy(&pixel, from + 4 * t, sizeof pixel);
            sum += pixel * weight[t];
        }
        memcpy(out + 3 * n, &sum, sizeof sum);
    }
    for (int i = 0; i < 3 * of->out_width; i++) out[i] = rounded(out[i]);
    out[3 * of->out_width] = 0; /* `down` sums up whole vectors */
}

/* The same of one band. */
static ALWAYS_INLINE void across_grey(const Scaling *of, const uint8_t *in, int32_t *restrict out) {
    for (int n = 0; n < of->out_width; n++) {
        const int32_t *weight = of->x.weights + (size_t)n * of->x.taps;
        int32_t sum = HALF;
        for (int t = 0; t < of->x.count[n]; t++) sum += in[of->x.first[n] + t] * weight[t];
        out[n] = rounded(sum);
    }
}

/* Row n of the answer, out of rows that were scaled across. */
static ALWAYS_INLINE void down(const Scaling *of, int n, uint8_t *restrict out) {
    const int32_t *weight = of->y.weights + (size_t)n * of->y.taps;
    int first = of->y.first[n], count = of->y.count[n], length = of->out_width * of->bands;
    for (int at = 0; at < length; at += 8 * WIDTH) {
        Eight sums[WIDTH];
        for (int part = 0; part < WIDTH; part++) sums[part] = (Eight){0} + HALF;
        for (int t = 0; t < count; t++) {
            const int32_t *row = of->scaled + (size_t)((first + t) % of->y.taps) * of->stride + at;
            for (int part = 0; part < WIDTH; part++) {
                Eight values;
                memcpy(&values, row + 8 * part, sizeof values);
                sums[part] += values * weight[t];
            }
        }
        memcpy(of->sums + at, sums, sizeof sums);
    }
    const int32_t *sums = of->sums;
    for (int i = 0; i < length; i++) out[i] = (uint8_t)rounded(sums[i]);
}

static ALWAYS_INLINE void scale_by(const Scaling *of, uint8_t *out) {
    int row = of->y.first[0]; /* the next to be scaled across */
    for (int n = 0; n < of->out_height; n++) {
        for (int end = of->y.first[n] + of->y.count[n]; row < end; row++) {
            const uint8_t *in = of->pixels + (size_t)row * of->width * of->bands;
            int32_t *to = of->scaled + (size_t)(row % of->y.taps) * of->stride;
            if (of->bands == 3)
                across(of, in, to);
            else
                across_grey(of, in, to);
        }
        down(of, n, out + (size_t)n * of->out_width * of->bands);
    }
}

static void scale_plainly(const Scaling *of, uint8_t *out) {
    scale_by(of, out);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void scale_by_avx2(const Scaling *of, uint8_t *out) {
    scale_by(of, out);
}

static void scale(const Scaling *of, uint8_t *out) {
    if (__builtin_cpu_supports("avx2"))
        scale_by_avx2(of, out);
    else
        scale_plainly(of, out);
}
#else
static void scale(const Scaling *of, uint8_t *out) {
    scale_plainly(of, out);
}
#endif

/* 0: there is no memory; `of` is to be cleared in any case. */
static int prepare(Scaling *of, const float *box) {
    if (!make_weights(&of->x, of->width, box[0], box[2], of->out_width)) return 0;
    if (!make_weights(&of->y, of->height, box[1], box[3], of->out_height)) return 0;
    of->stride = of->out_width * of->bands + 8 * WIDTH;
    of->wide = calloc((size_t)of->width * 4, sizeof *of->wide);
    of->scaled = calloc((size_t)of->stride * of->y.taps, sizeof *of->scaled);
    of->sums = calloc((size_t)of->stride, sizeof *of->sums);
    return of->wide && of->scaled && of->sums;
}

static void clear(Scaling *of) {
    release(&of->x);
    release(&of->y);
    free(of->wide);
    free(of->scaled);
    free(of->sums);
}

static PyObject *py_bicubic(PyObject *module, PyObject *args) {
    PyObject *data, *answer = NULL;
    Scaling of = {0};
    float box[4];
    (void)module;
    if (!PyArg_ParseTuple(args, "S(ii)i(ii)(ffff)", &data, &of.width, &of.height, &of.bands, &of.out_width,
                          &of.out_height, &box[0], &box[1], &box[2], &box[3]))
        return NULL;
    int is_sized = of.width >= 1 && of.width <= MAX_SIDE_PX && of.height >= 1 && of.height <= MAX_SIDE_PX &&
                   of.out_width >= 1 && of.out_width <= MAX_SIDE_PX && of.out_height >= 1 &&
                   of.out_height <= MAX_SIDE_PX && (of.bands == 1 || of.bands == MAX_BANDS) &&
                   PyBytes_GET_SIZE(data) == (Py_ssize_t)of.width * of.height * of.bands;
    int is_boxed = box[0] >= 0 && box[1] >= 0 && box[2] <= of.width && box[3] <= of.height && box[2] > box[0] &&
                   box[3] > box[1]; /* not true of what is no number */
    if (!is_sized || !is_boxed) {
        PyErr_SetString(PyExc_ValueError, "these sizes do not fit the pixels");
        return NULL;
    }
    of.pixels = (const uint8_t *)PyBytes_AS_STRING(data);
    int is_ready = prepare(&of, box);
    if (is_ready)
        answer = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)of.out_width * of.out_height * of.bands);
    else
        PyErr_NoMemory();
    if (answer) {
        uint8_t *out = (uint8_t *)PyBytes_AS_STRING(answer);
        Py_BEGIN_ALLOW_THREADS
        scale(&of, out);
        Py_END_ALLOW_THREADS
    }
    clear(&of);
    return answer;
}

static PyMethodDef METHODS[] = {
    {"bicubic", py_bicubic, METH_VARARGS,
     "bicubic(pixels, size, bands, to, box)\n--\n\nThe pixels within box scaled to another size, as Pillow does it."},
    {NULL, NULL, 0, NULL}};

static struct PyModuleDef MODULE = {PyModuleDef_HEAD_INIT, "_resize", NULL, 0, METHODS, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__resize(void) {
    return PyModuleDef_Init(&MODULE);
}
