/* A baseline JPEG at an eighth of its size, decoded as libjpeg does it at that scale, pixel by pixel, but sooner.
 *
 * At 1/8 a block's mean is all that a picture needs of its luma, so the AC coefficients need only be passed over. libjpeg
 * passes over one symbol at a time; here a table says for the next TABLE_BITS bits how many symbols begin in them, and how
 * many coefficients those stand for. Chroma that is halved both ways keeps 2 x 2 values of a block, by libjpeg's own transform.
 *
 * Anything unusual is given back to the caller (None), who has a whole decoder: progressive and arithmetic coding, other
 * depths and samplings, several scans, and every fault in the data. So no picture is read differently here.
 *
 * Sources: ITU-T T.81 (1992), Annex F; libjpeg-turbo's jidctred.c (1 x 1 and 2 x 2), jdcolor.c.
 *
 * The bytes are untrusted. Every read of theirs is bounded: headers by `Source`, entropy-coded data by a copy that ends in
 * PADDING bytes, more than one MCU can take, and whose end is checked after each MCU. No state outlives a call. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    TABLE_BITS = 12,       /* of a look-up; 8 kB a table, so that all fit into the cache nearest to a small processor */
    BLOCK = 64,            /* coefficients */
    MAX_BLOCKS_IN_MCU = 10, /* T.81, B.2.3 */
    MAX_SIDE_PX = 65500,   /* libjpeg's own limit */
    /* No symbol takes more than 16 bits of code and 16 of value, so no MCU more than 10 * 64 * 4 bytes. */
    PADDING = MAX_BLOCKS_IN_MCU * BLOCK * 4 + 64,
    MAX_COMPONENTS = 3,
    /* In `skip`, beyond any number of coefficients: the block ends here; the bits begin with a code that they do not hold. */
    ENDS = 4 * BLOCK,
    ALONE = 8 * BLOCK,
    /* Of a coefficient that is transformed: twice what 8-bit samples give. Within it no sum leaves 32 bits. */
    MOST = 2047,
};

typedef struct {
    uint8_t counts[17]; /* codes of each length */
    uint8_t symbols[256];
    int is_defined;
    /* Derived (T.81, F.2.2.3). */
    int32_t largest[18];  /* largest code of each length, -1 where there is none */
    int32_t offset[17];   /* of a length's first symbol, minus its first code */
    uint16_t first[1 << TABLE_BITS]; /* length << 8 | symbol of the code that the bits begin with; 0: it is longer */
    union {
        uint16_t skip[1 << TABLE_BITS];      /* AC, see `make_skip` */
        int32_t difference[1 << TABLE_BITS]; /* DC: value << 8 | bits taken; 0: look at code and value */
    };
} Huffman;

typedef struct {
    int id, h, v;          /* identifier, sampling factors */
    int quantization, dc, ac; /* tables */
    int side;              /* values of a block's side that are kept: 1 or 2 */
    int32_t predicted;
    int stride;            /* of `plane` */
    uint8_t *plane;
} Component;

typedef struct {
    const uint8_t *at, *end;
} Source;

typedef struct {
    int32_t quantization[4][BLOCK]; /* in natural order */
    int has_quantization[4];
    Huffman dc[4], ac[4];
    Component components[MAX_COMPONENTS];
    int count; /* of components */
    int width_px, height_px;
    int restart_interval; /* MCUs; 0: none */
    int has_frame, has_jfif, adobe_transform; /* -1: no Adobe marker */
} Decoder;

/* ------------------------------------------------------------------------------------------------------------- bits */

typedef struct {
    const uint8_t *at;
    uint64_t bits; /* the next ones, from the top */
    int count;     /* of those that are valid */
} Bits;

#if defined(__GNUC__)
#define ALWAYS_INLINE inline __attribute__((always_inline))
#else
#define ALWAYS_INLINE inline
#endif

static inline uint64_t big_endian(const uint8_t *at) {
    uint64_t value;
    memcpy(&value, at, sizeof value);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    value = __builtin_bswap64(value);
#endif
    return value;
}

/* At least 56 valid bits. */
static ALWAYS_INLINE void refill(Bits *in) {
    in->bits |= big_endian(in->at) >> in->count;
    in->at += (63 - in->count) >> 3;
    in->count |= 56;
}

static ALWAYS_INLINE void drop(Bits *in, int count) {
    in->bits <<= count;
    in->count -= count;
}

static inline int64_t bits_taken(const Bits *in, const uint8_t *start) {
    return (int64_t)(in->at - start) * 8 - in->count;
}

/* ----------------------------------------------------------------------------------------------------------- Huffman */

/* The value of `size` bits (T.81, F.12). */
static inline int32_t extended(uint32_t value, int size) {
    return value < 1u << (size - 1) ? (int32_t)value - (1 << size) + 1 : (int32_t)value;
}

/* The symbol of the code that the bits begin with, and its length; -1 where there is no such code. */
static int symbol_at(const Huffman *table, uint64_t bits, int *length) {
    uint16_t found = table->first[bits >> (64 - TABLE_BITS)];
    if (found) {
        *length = found >> 8;
        return found & 255;
    }
    for (int n = TABLE_BITS + 1; n <= 16; n++) {
        int32_t code = (int32_t)(bits >> (64 - n));
        if (code <= table->largest[n]) {
            *length = n;
            return table->symbols[(code + table->offset[n]) & 255];
        }
    }
    return -1;
}

/* What symbols begin in the bits: bits taken | coefficients passed << 6, and ENDS or ALONE more of those.
 *
 * Of the last symbol only the code has to lie within the bits: its value, up to 15 more, is passed over unread. */
static void make_skip(Huffman *table) {
    for (uint32_t bits = 0; bits < 1u << TABLE_BITS; bits++) {
        int taken = 0, passed = 0, ends = 0;
        while (!ends) {
            uint16_t found = table->first[(bits << taken) & ((1u << TABLE_BITS) - 1)];
            int length = found >> 8, run = (found >> 4) & 15, size = found & 15;
            if (!found || taken + length > TABLE_BITS || passed > BLOCK) break;
            if (size == 0 && run != 0 && run != 15) break; /* no symbol of baseline: the slow way refuses it */
            taken += length + size;
            if (size == 0 && run == 0)
                ends = 1;
            else
                passed += run + 1;
            if (taken >= TABLE_BITS) break;
        }
        table->skip[bits] = (uint16_t)(taken ? taken | (passed + (ends ? ENDS : 0)) << 6 : ALONE << 6);
    }
}

/* What differences the bits hold, where code and value are in them. */
static void make_differences(Huffman *table) {
    for (uint32_t bits = 0; bits < 1u << TABLE_BITS; bits++) {
        uint16_t found = table->first[bits];
        int length = found >> 8, size = found & 15, taken = length + size;
        if (!found || taken > TABLE_BITS)
            table->difference[bits] = 0;
        else if (!size)
            table->difference[bits] = taken;
        else
            table->difference[bits] = extended(bits >> (TABLE_BITS - taken) & ((1u << size) - 1), size) * 256 + taken;
    }
}

/* Derive what decoding needs; 0 for a table that is none. */
static int derive(Huffman *table, int is_dc) {
    int32_t code = 0;
    int place = 0;
    memset(table->first, 0, sizeof table->first);
    for (int length = 1; length <= 16; length++) {
        table->offset[length] = place - code;
        for (int n = 0; n < table->counts[length]; n++, code++, place++) {
            if (is_dc && table->symbols[place] > 15) return 0;
            if (length <= TABLE_BITS) {
                uint16_t value = (uint16_t)(length << 8 | table->symbols[place]);
                uint32_t begin = (uint32_t)code << (TABLE_BITS - length), many = 1u << (TABLE_BITS - length);
                if (begin + many > 1u << TABLE_BITS) return 0;
                for (uint32_t i = 0; i < many; i++) table->first[begin + i] = value;
            }
        }
        if (code >= 1 << length) return 0; /* no code is all ones */
        table->largest[length] = table->counts[length] ? code - 1 : -1;
        code <<= 1;
    }
    if (is_dc)
        make_differences(table);
    else
        make_skip(table);
    return 1;
}

/* ------------------------------------------------------------------------------------------------------------ blocks */

/* The difference of a DC coefficient; 0 where there is no such code. */
static ALWAYS_INLINE int dc_difference(Bits *in, const Huffman *table, int32_t *difference) {
    refill(in);
    int32_t entry = table->difference[in->bits >> (64 - TABLE_BITS)];
    if (entry) {
        drop(in, entry & 255);
        *difference = entry >> 8;
        return 1;
    }
    int length, size = symbol_at(table, in->bits, &length);
    if (size < 0) return 0;
    drop(in, length);
    *difference = size ? extended((uint32_t)(in->bits >> (64 - size)), size) : 0;
    drop(in, size);
    return 1;
}

/* Pass over the AC coefficients of a block; 0 where they are no such. */
static ALWAYS_INLINE int skip_ac(Bits *in, const Huffman *table) {
    for (uint32_t sum = 1 << 6;;) { /* of entries: k << 6, and the bits taken since the refill: 2 * 27 at most, it gave 56 */
        uint32_t entry;
        refill(in);
        entry = table->skip[in->bits >> (64 - TABLE_BITS)];
        sum += entry;
        if (sum < BLOCK << 6) {
            in->bits <<= entry & 63;
            entry = table->skip[in->bits >> (64 - TABLE_BITS)];
            sum += entry;
            if (sum < BLOCK << 6) {
                in->bits <<= entry & 63;
                in->count -= (int)(sum & 63);
                sum &= ~63u;
                continue;
            }
        }
        uint32_t k = sum >> 6;
        in->count -= (int)(sum & 63);
        if (k == BLOCK || (k >= ENDS && k < ENDS + BLOCK)) {
            in->bits <<= entry & 63;
            return 1;
        }
        /* A symbol too long for the table, or the entry holds more than this block: one symbol. */
        in->count += (int)(entry & 63);
        k -= entry >> 6;
        refill(in);
        int length, symbol = symbol_at(table, in->bits, &length);
        if (symbol < 0) return 0;
        uint32_t run = (uint32_t)symbol >> 4, size = symbol & 15;
        drop(in, length + (int)size);
        k += run + 1;
        if (size == 0 && run != 15) return run == 0; /* the end of the block, or nothing of baseline */
        if (k >= BLOCK) return k == BLOCK;
        sum = k << 6;
    }
}

static const uint8_t NATURAL[BLOCK] = {
    0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,  12, 19, 26, 33, 40, 48,
    41, 34, 27, 20, 13, 6,  7,  14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23,
    30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63};

/* The AC coefficients of a block, dequantised, in natural order; `last` is the place in zigzag order behind the last. */
static ALWAYS_INLINE int read_ac(Bits *in, const Huffman *table, const int32_t *quantization, int32_t *block, int *last) {
    *last = 1;
    for (int k = 1; k < BLOCK;) {
        int length, symbol;
        refill(in);
        symbol = symbol_at(table, in->bits, &length);
        if (symbol < 0) return 0;
        int run = symbol >> 4, size = symbol & 15;
        in->bits <<= length;
        if (size == 0) {
            in->count -= length;
            if (run == 0) return 1;
            if (run != 15) return 0;
            k += 16;
            if (k > BLOCK) return 0;
            continue;
        }
        k += run;
        if (k >= BLOCK) return 0;
        int place = NATURAL[k];
        /* `extended` without a branch, which would go either way as often. */
        int32_t value = (int32_t)(in->bits >> (64 - size)) + ((int32_t)((in->bits >> 63) - 1) & (1 - (1 << size)));
        value *= quantization[place];
        if (value < -MOST || value > MOST) return 0;
        block[place] = value;
        in->bits <<= size;
        in->count -= length + size;
        *last = ++k;
    }
    return 1;
}

/* Values are masked as libjpeg's range table is, then shifted from around 0 to around 128. */
static inline uint8_t ranged(int32_t value) {
    int32_t around = ((value & 1023) ^ 512) - 512;
    around += 128;
    return (uint8_t)(around < 0 ? 0 : around > 255 ? 255 : around);
}

static inline int32_t descaled(int32_t value, int bits) {
    return (value + (1 << (bits - 1))) >> bits;
}

static inline uint8_t mean(int32_t dc) {
    return ranged(descaled(dc, 3));
}

/* 2 x 2 values of a block (jpeg_idct_2x2). */
static void halved(const int32_t *block, uint8_t *out, int stride) {
    enum { CONST_BITS = 13, PASS1_BITS = 2, C0 = 5906, C1 = 6967, C2 = 10426, C3 = 29692 };
    int32_t top[8], bottom[8];
    for (int x = 0; x < 8; x++) {
        const int32_t *in = block + x;
        if (x == 2 || x == 4 || x == 6) continue;
        int32_t even = (int32_t)((uint32_t)in[0] << (CONST_BITS + 2));
        int32_t odd = -in[56] * C0 + in[40] * C1 - in[24] * C2 + in[8] * C3;
        top[x] = descaled(even + odd, CONST_BITS - PASS1_BITS + 2);
        bottom[x] = descaled(even - odd, CONST_BITS - PASS1_BITS + 2);
    }
    for (int y = 0; y < 2; y++) {
        const int32_t *in = y ? bottom : top;
        int32_t even = (int32_t)((uint32_t)in[0] << (CONST_BITS + 2));
        int32_t odd = -in[7] * C0 + in[5] * C1 - in[3] * C2 + in[1] * C3;
        out[y * stride] = ranged(descaled(even + odd, CONST_BITS + PASS1_BITS + 3 + 2));
        out[y * stride + 1] = ranged(descaled(even - odd, CONST_BITS + PASS1_BITS + 3 + 2));
    }
}

/* One block of an MCU. */
typedef struct {
    Component *component;
    const Huffman *dc, *ac;
    const int32_t *quantization;
    uint8_t *out;  /* its place in the component's plane */
    int step;      /* from there to the next MCU's */
    int side;      /* as the component's */
} Block;

static ALWAYS_INLINE int decode_block(Bits *in, const Block *block) {
    Component *component = block->component;
    const int32_t *quantization = block->quantization;
    int32_t difference;
    if (!dc_difference(in, block->dc, &difference)) return 0;
    component->predicted += difference;
    if (component->predicted < -32768 || component->predicted > 32767) return 0;
    uint8_t *out = block->out;
    int32_t dc = component->predicted * quantization[0];
    if (block->side == 1) {
        *out = mean(dc);
        return skip_ac(in, block->ac);
    }
    if (dc < -MOST || dc > MOST) return 0;
    int32_t values[BLOCK];
    int last;
    for (int n = 0; n < BLOCK; n += 8) memset(values + n, 0, 8 * sizeof *values); /* as stores: a call takes longer */
    values[0] = dc;
    if (!read_ac(in, block->ac, quantization, values, &last)) return 0;
    if (last > 1)
        halved(values, out, component->stride);
    else /* the same as `halved` makes of it: the two passes only shift */
        out[0] = out[1] = out[component->stride] = out[component->stride + 1] = mean(dc);
    return 1;
}

/* ----------------------------------------------------------------------------------------------------------- headers */

static int next_byte(Source *in) {
    return in->at < in->end ? *in->at++ : -1;
}

static int read_quantization(Decoder *decoder, Source in) {
    while (in.at < in.end) {
        int head = next_byte(&in), table = head & 15, is_wide = head >> 4;
        if (table > 3 || is_wide > 1 || in.end - in.at < BLOCK * (1 + is_wide)) return 0;
        for (int k = 0; k < BLOCK; k++) {
            int value = next_byte(&in);
            if (is_wide) value = value << 8 | next_byte(&in);
            decoder->quantization[table][NATURAL[k]] = value;
        }
        decoder->has_quantization[table] = 1;
    }
    return 1;
}

static int read_huffman(Decoder *decoder, Source in) {
    while (in.at < in.end) {
        int head = next_byte(&in), is_ac = head >> 4, total = 0;
        if ((head & 15) > 3 || is_ac > 1 || in.end - in.at < 16) return 0;
        Huffman *table = is_ac ? &decoder->ac[head & 15] : &decoder->dc[head & 15];
        table->counts[0] = 0;
        for (int length = 1; length <= 16; length++) total += table->counts[length] = (uint8_t)next_byte(&in);
        if (total > 256 || in.end - in.at < total) return 0;
        memset(table->symbols, 0, sizeof table->symbols);
        memcpy(table->symbols, in.at, (size_t)total);
        in.at += total;
        table->is_defined = 1;
    }
    return 1;
}

static int read_frame(Decoder *decoder, Source in) {
    if (decoder->has_frame || in.end - in.at < 6) return 0;
    const uint8_t *at = in.at;
    decoder->height_px = at[1] << 8 | at[2];
    decoder->width_px = at[3] << 8 | at[4];
    decoder->count = at[5];
    if (at[0] != 8 || decoder->width_px < 1 || decoder->height_px < 1) return 0;
    if (decoder->width_px > MAX_SIDE_PX || decoder->height_px > MAX_SIDE_PX) return 0;
    if ((decoder->count != 1 && decoder->count != 3) || in.end - at != 6 + 3 * decoder->count) return 0;
    for (int n = 0; n < decoder->count; n++) {
        Component *component = &decoder->components[n];
        component->id = at[6 + 3 * n];
        component->h = at[7 + 3 * n] >> 4;
        component->v = at[7 + 3 * n] & 15;
        component->quantization = at[8 + 3 * n];
        component->side = 1;
        if (component->quantization > 3 || component->h < 1 || component->h > 4) return 0;
        if (component->v < 1 || component->v > 4) return 0;
        for (int before = 0; before < n; before++)
            if (decoder->components[before].id == component->id) return 0;
    }
    decoder->has_frame = 1;
    Component *luma = &decoder->components[0];
    if (decoder->count == 1) { /* its scan is not interleaved: a block is an MCU, whatever the factors */
        luma->h = luma->v = 1;
        return 1;
    }
    for (int n = 1; n < 3; n++) {
        if (decoder->components[n].h != 1 || decoder->components[n].v != 1) return 0;
        if (luma->h == 2 && luma->v == 2) decoder->components[n].side = 2;
    }
    return luma->h >= 1 && luma->h <= 2 && luma->v >= 1 && luma->v <= 2;
}

static void read_application(Decoder *decoder, int marker, Source in) {
    if (marker == 0xE0 && in.end - in.at >= 14 && !memcmp(in.at, "JFIF", 5)) decoder->has_jfif = 1;
    if (marker == 0xEE && in.end - in.at >= 12 && !memcmp(in.at, "Adobe", 5)) decoder->adobe_transform = in.at[11];
}

/* Whether three components are YCbCr to libjpeg (default_decompress_parms). */
static int is_ycbcr(const Decoder *decoder) {
    const Component *c = decoder->components;
    if (decoder->has_jfif) return 1;
    if (decoder->adobe_transform >= 0) return decoder->adobe_transform == 1;
    return c[0].id == 1 && c[1].id == 2 && c[2].id == 3;
}

static int read_scan_header(Decoder *decoder, Source in) {
    if (!decoder->has_frame || in.end - in.at != 4 + 2 * decoder->count || next_byte(&in) != decoder->count) return 0;
    for (int n = 0; n < decoder->count; n++) {
        Component *component = &decoder->components[n];
        if (next_byte(&in) != component->id) return 0;
        int tables = next_byte(&in);
        component->dc = tables >> 4;
        component->ac = tables & 15;
        if (component->dc > 3 || component->ac > 3 || !decoder->has_quantization[component->quantization]) return 0;
        Huffman *dc = &decoder->dc[component->dc], *ac = &decoder->ac[component->ac];
        if (!dc->is_defined || !ac->is_defined || !derive(dc, 1) || !derive(ac, 0)) return 0;
    }
    return in.at[0] == 0 && in.at[1] == 63 && in.at[2] == 0;
}

/* Read up to the entropy-coded data; 0 where it is nothing for this decoder. */
static int read_headers(Decoder *decoder, Source *in) {
    if (next_byte(in) != 0xFF || next_byte(in) != 0xD8) return 0;
    for (;;) {
        int marker;
        if (next_byte(in) != 0xFF) return 0;
        do marker = next_byte(in);
        while (marker == 0xFF);
        if (in->end - in->at < 2) return 0;
        int size = in->at[0] << 8 | in->at[1];
        if (size < 2 || in->end - in->at < size) return 0;
        Source segment = {in->at + 2, in->at + size};
        in->at += size;
        if (marker == 0xDA)
            return read_scan_header(decoder, segment) && (decoder->count == 1 || is_ycbcr(decoder));
        if (marker == 0xDB) {
            if (!read_quantization(decoder, segment)) return 0;
        } else if (marker == 0xC4) {
            if (!read_huffman(decoder, segment)) return 0;
        } else if (marker == 0xC0 || marker == 0xC1) {
            if (!read_frame(decoder, segment)) return 0;
        } else if (marker == 0xDD) {
            if (size != 4) return 0;
            decoder->restart_interval = segment.at[0] << 8 | segment.at[1];
        } else if ((marker & 0xF0) == 0xE0 || marker == 0xFE) {
            read_application(decoder, marker, segment);
        } else {
            return 0; /* progressive, arithmetic, lossless, a line count at the end, garbage */
        }
    }
}

/* -------------------------------------------------------------------------------------------------------------- scan */

/* The bytes up to the next marker, without stuffing; returns that marker, or -1 where the data end first. */
static int unstuffed(Source *in, uint8_t *out, size_t *size) {
    uint8_t *begin = out;
    for (;;) {
        const uint8_t *escape = memchr(in->at, 0xFF, (size_t)(in->end - in->at));
        if (!escape || escape + 1 >= in->end) return -1;
        size_t plain = (size_t)(escape - in->at);
        memcpy(out, in->at, plain);
        out += plain;
        in->at = escape + 2;
        if (escape[1] == 0) {
            *out++ = 0xFF;
            continue;
        }
        *size = (size_t)(out - begin);
        return escape[1];
    }
}

/* The blocks of the first MCU of a row of MCUs; returns how many. */
static int blocks_of_row(Decoder *decoder, int row, Block *blocks) {
    int count = 0;
    for (int n = 0; n < decoder->count; n++) {
        Component *component = &decoder->components[n];
        for (int v = 0; v < component->v; v++)
            for (int h = 0; h < component->h; h++) {
                size_t y = ((size_t)row * component->v + v) * component->side;
                blocks[count++] = (Block){
                    .component = component,
                    .dc = &decoder->dc[component->dc],
                    .ac = &decoder->ac[component->ac],
                    .quantization = decoder->quantization[component->quantization],
                    .out = component->plane + y * component->stride + h * component->side,
                    .step = component->h * component->side,
                    .side = component->side,
                };
            }
    }
    return count;
}

/* All MCUs; `buffer` has room for what is left of the file and PADDING. */
static int decode_scan(Decoder *decoder, Source *in, uint8_t *buffer, int columns, int rows) {
    int64_t total = (int64_t)columns * rows, done = 0;
    Block blocks[MAX_BLOCKS_IN_MCU];
    int row = 0, column = columns, count = 0;
    for (int restarts = 0;; restarts++) {
        size_t size;
        int marker = unstuffed(in, buffer, &size);
        if (marker < 0) return 0;
        memset(buffer + size, 0, PADDING);
        int64_t until = decoder->restart_interval ? done + decoder->restart_interval : total;
        if (until > total) until = total;
        if (marker != (until == total ? 0xD9 : 0xD0 + restarts % 8)) return 0;
        Bits bits = {buffer, 0, 0};
        for (int n = 0; n < decoder->count; n++) decoder->components[n].predicted = 0;
        for (; done < until; done++) {
            if (column == columns) {
                count = blocks_of_row(decoder, row++, blocks);
                column = 0;
            }
            for (int n = 0; n < count; n++) {
                if (!decode_block(&bits, &blocks[n])) return 0;
                blocks[n].out += blocks[n].step;
            }
            column++;
            if (bits_taken(&bits, buffer) > (int64_t)size * 8) return 0;
        }
        if (bits_taken(&bits, buffer) <= (int64_t)size * 8 - 8) return 0; /* something is left over */
        if (done == total) return 1;
    }
}

/* ------------------------------------------------------------------------------------------------------------ colours */

static ALWAYS_INLINE uint8_t clamped(int value) {
    value = value < 0 ? 0 : value;
    return (uint8_t)(value > 255 ? 255 : value);
}

enum { STEP = 64 }; /* pixels whose colours are worked out side by side */

/* Interleaved RGB of YCbCr planes, each value of chroma standing for as many pixels as it was halved to (jdcolor.c). */
static ALWAYS_INLINE void to_rgb_by(const Decoder *decoder, int width, int height, uint8_t *restrict out) {
    const Component *luma = &decoder->components[0], *blue = luma + 1, *red = luma + 2;
    int across = blue->side == 2 ? 0 : luma->h - 1, down = blue->side == 2 ? 0 : luma->v - 1; /* shifts */
    for (int y = 0; y < height; y++) {
        const uint8_t *of_y = luma->plane + (size_t)y * luma->stride;
        const uint8_t *of_b = blue->plane + (size_t)(y >> down) * blue->stride;
        const uint8_t *of_r = red->plane + (size_t)(y >> down) * red->stride;
        for (int begin = 0; begin < width; begin += STEP) {
            int count = width - begin < STEP ? width - begin : STEP;
            uint8_t chroma[2][STEP] = {{0}}, light[STEP] = {0}, colours[3][STEP];
            memcpy(light, of_y + begin, (size_t)count);
            for (int x = 0; x < count; x++) {
                chroma[0][x] = of_b[(begin + x) >> across];
                chroma[1][x] = of_r[(begin + x) >> across];
            }
            for (int x = 0; x < STEP; x++) {
                int b = chroma[0][x] - 128, r = chroma[1][x] - 128;
                colours[0][x] = clamped(light[x] + ((91881 * r + 32768) >> 16));
                colours[1][x] = clamped(light[x] + ((-22554 * b - 46802 * r + 32768) >> 16));
                colours[2][x] = clamped(light[x] + ((116130 * b + 32768) >> 16));
            }
            for (int x = 0; x < count; x++, out += 3) {
                out[0] = colours[0][x];
                out[1] = colours[1][x];
                out[2] = colours[2][x];
            }
        }
    }
}

#if defined(__GNUC__) && defined(__x86_64__)
__attribute__((target("avx2"))) static void to_rgb_by_avx2(const Decoder *decoder, int width, int height, uint8_t *out) {
    to_rgb_by(decoder, width, height, out);
}

static void to_rgb(const Decoder *decoder, int width, int height, uint8_t *out) {
    if (__builtin_cpu_supports("avx2"))
        to_rgb_by_avx2(decoder, width, height, out);
    else
        to_rgb_by(decoder, width, height, out);
}
#else
static void to_rgb(const Decoder *decoder, int width, int height, uint8_t *out) {
    to_rgb_by(decoder, width, height, out);
}
#endif

/* ------------------------------------------------------------------------------------------------------------- Python */

/* 1: decoded into `pixels` (malloc'ed); 0: nothing for this decoder; -1: no memory. */
static int decode(Source in, Decoder *decoder, int *width, int *height, uint8_t **pixels) {
    int result = 0;
    uint8_t *buffer = NULL;
    *pixels = NULL;
    if (!read_headers(decoder, &in)) return 0;
    const Component *luma = &decoder->components[0];
    int columns = (decoder->width_px + 8 * luma->h - 1) / (8 * luma->h);
    int rows = (decoder->height_px + 8 * luma->v - 1) / (8 * luma->v);
    *width = (decoder->width_px + 7) / 8;
    *height = (decoder->height_px + 7) / 8;
    /* An MCU takes two bits at least, so what promises more than its data can hold needs no memory. */
    if ((int64_t)columns * rows > (int64_t)(in.end - in.at) * 4) return 0;
    for (int n = 0; n < decoder->count; n++) {
        Component *component = &decoder->components[n];
        component->stride = columns * component->h * component->side;
        component->plane = malloc((size_t)component->stride * rows * component->v * component->side);
        if (!component->plane) goto no_memory;
    }
    buffer = malloc((size_t)(in.end - in.at) + PADDING);
    *pixels = malloc((size_t)*width * *height * decoder->count);
    if (!buffer || !*pixels) goto no_memory;
    result = decode_scan(decoder, &in, buffer, columns, rows);
    if (result && decoder->count == 3) to_rgb(decoder, *width, *height, *pixels);
    if (result && decoder->count == 1)
        for (int y = 0; y < *height; y++)
            memcpy(*pixels + (size_t)y * *width, luma->plane + (size_t)y * luma->stride, (size_t)*width);
    goto end;
no_memory:
    result = -1;
end:
    for (int n = 0; n < decoder->count; n++) free(decoder->components[n].plane);
    free(buffer);
    return result;
}

static PyObject *py_decode(PyObject *module, PyObject *data) {
    char *bytes;
    Py_ssize_t size;
    int result, width = 0, height = 0;
    uint8_t *pixels = NULL;
    (void)module;
    if (PyBytes_AsStringAndSize(data, &bytes, &size) < 0) return NULL;
    Decoder *decoder = calloc(1, sizeof *decoder);
    if (!decoder) return PyErr_NoMemory();
    decoder->adobe_transform = -1;
    Source in = {(const uint8_t *)bytes, (const uint8_t *)bytes + size};
    Py_BEGIN_ALLOW_THREADS
    result = decode(in, decoder, &width, &height, &pixels);
    Py_END_ALLOW_THREADS
    PyObject *answer = NULL;
    if (result > 0)
        answer = Py_BuildValue("iiy#", width, height, pixels, (Py_ssize_t)width * height * decoder->count);
    else if (result == 0)
        answer = Py_NewRef(Py_None);
    else
        PyErr_NoMemory();
    free(pixels);
    free(decoder);
    return answer;
}

/* In entropy-coded data FF is followed by 00 (a literal FF), D0 ... D7 (a restart) or FF (padding); all else ends it. */
static PyObject *py_scan_end(PyObject *module, PyObject *args) {
    PyObject *data;
    Py_ssize_t start;
    (void)module;
    if (!PyArg_ParseTuple(args, "Sn", &data, &start)) return NULL;
    const uint8_t *begin = (const uint8_t *)PyBytes_AS_STRING(data), *end = begin + PyBytes_GET_SIZE(data);
    const uint8_t *at = start < 0 || start > end - begin ? end : begin + start;
    while (end - at > 1 && (at = memchr(at, 0xFF, (size_t)(end - at - 1)))) {
        if (at[1] == 0 || (at[1] >= 0xD0 && at[1] <= 0xD7))
            at += 2;
        else if (at[1] == 0xFF)
            at += 1;
        else
            return PyLong_FromSsize_t(at - begin);
    }
    return PyLong_FromLong(-1);
}

static PyMethodDef METHODS[] = {
    {"decode", py_decode, METH_O,
     "decode(data)\n--\n\n(width, height, pixels) of a baseline JPEG at 1/8 as libjpeg gives them; None for any other."},
    {"scan_end", py_scan_end, METH_VARARGS,
     "scan_end(data, at)\n--\n\nWhere entropy-coded data that begin at `at` end: at the next marker; -1 if nowhere."},
    {NULL, NULL, 0, NULL}};

static struct PyModuleDef MODULE = {PyModuleDef_HEAD_INIT, "_jpeg_eighth", NULL, 0, METHODS, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__jpeg_eighth(void) {
    return PyModuleDef_Init(&MODULE);
}
