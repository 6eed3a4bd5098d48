/* Runs the network of NETWORK.h on vectors from .npy files, read one by one: a file may be larger than the memory.
 *
 *   NETWORK_test INPUTS.npy EXPECTED.npy      compare every output; 0 if all are equal
 *   NETWORK_test INPUTS.npy --to OUTPUTS.npy  write the outputs as 64-bit integers
 *   NETWORK_test INPUTS.npy --time            CPU time of one inference, as a line of JSON
 *
 * Inputs are integers (the real value is integer / 2^NETWORK_INPUT_FRAC), or float32, which are quantized as the
 * model's first layer does: to the nearest, ties to even, clipped.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "NETWORK.h"

#ifndef FLAGS
#define FLAGS ""
#endif
#ifdef __clang__
#define COMPILER __VERSION__
#elif defined(__GNUC__)
#define COMPILER "gcc " __VERSION__
#else
#define COMPILER "unknown"
#endif

enum { TIMED_VECTORS = 256, REPEATS = 25, HEADER = 128 };
static const double PASS_SECONDS = 0.02;

typedef struct {
    FILE *file;
    const char *path;
    char kind;   /* i: signed, u: unsigned, f: float32 */
    int bytes;   /* of an element */
    long count;  /* of vectors */
} vectors_t;

static void fail(const char *path, const char *what)
{
    fprintf(stderr, "%s: %s\n", path, what);
    exit(2);
}

/* The number behind `text`, which is moved on past it and what separates it from the next; -1 at the end. */
static long next_extent(const char **text)
{
    char *end;
    long value;
    while (**text == ' ' || **text == ',' || **text == '(') (*text)++;
    if (**text < '0' || **text > '9') return -1;
    value = strtol(*text, &end, 10);
    *text = end;
    return value;
}

static vectors_t open_vectors(const char *path, long elements)
{
    vectors_t v;
    unsigned char start[12];
    char *header;
    const char *at;
    size_t length, prefix = 10;
    long extent, each = 1;
    v.path = path;
    v.file = fopen(path, "rb");
    if (!v.file) fail(path, "cannot be read");
    if (fread(start, 1, prefix, v.file) != prefix || memcmp(start, "\x93NUMPY", 6)) fail(path, "is no .npy file");
    length = start[8] + 256u * start[9];
    if (start[6] > 1) {
        if (fread(start + 10, 1, 2, v.file) != 2) fail(path, "ends in its header");
        length += 65536u * start[10];
    }
    header = (char *)calloc(length + 1, 1);
    if (!header || fread(header, 1, length, v.file) != length) fail(path, "ends in its header");
    if (!strstr(header, "'fortran_order': False")) fail(path, "is not in C order");
    at = strstr(header, "'descr': '");
    if (!at || !strchr("<|", at[10]) || !strchr("iuf", at[11])) fail(path, "is neither of integers nor of float32");
    v.kind = at[11];
    v.bytes = atoi(at + 12);
    if (!(v.bytes == 1 || v.bytes == 2 || v.bytes == 4 || v.bytes == 8) || (v.kind == 'f' && v.bytes != 4))
        fail(path, "is neither of integers nor of float32");
    at = strstr(header, "'shape': ");
    if (!at) fail(path, "has no shape");
    at += strlen("'shape': ");
    v.count = next_extent(&at);
    while ((extent = next_extent(&at)) >= 0) each *= extent;
    if (v.count < 0 || each != elements) fail(path, "has vectors of another length than the network");
    if (v.count == 0) fail(path, "has no vectors");
    free(header);
    return v;
}

static int64_t quantized(float value, const char *path)
{
    double scaled = value;
    int64_t floor;
    int i;
    for (i = 0; i < NETWORK_INPUT_FRAC; i++) scaled *= 2;
    for (i = 0; i > NETWORK_INPUT_FRAC; i--) scaled /= 2;
    if (scaled != scaled) fail(path, "holds NaN");
    if (scaled <= NETWORK_INPUT_LOW) return NETWORK_INPUT_LOW;
    if (scaled >= NETWORK_INPUT_HIGH) return NETWORK_INPUT_HIGH;
    floor = (int64_t)scaled;
    if ((double)floor > scaled) floor--;
    scaled -= (double)floor;
    return floor + (scaled > 0.5 || (scaled == 0.5 && floor % 2 != 0));
}

static int64_t next_value(vectors_t *v)
{
    unsigned char raw[8];
    uint64_t bits = 0;
    int i;
    if (fread(raw, 1, (size_t)v->bytes, v->file) != (size_t)v->bytes) fail(v->path, "ends before its last vector");
    for (i = 0; i < v->bytes; i++) bits |= (uint64_t)raw[i] << (8 * i);
    if (v->kind == 'f') {
        const uint32_t word = (uint32_t)bits;
        float value;
        memcpy(&value, &word, sizeof value);
        return quantized(value, v->path);
    }
    if (v->kind == 'i' && v->bytes < 8 && bits >> (8 * v->bytes - 1)) bits |= ~(uint64_t)0 << (8 * v->bytes);
    return bits >> 63 ? -(int64_t)~bits - 1 : (int64_t)bits;
}

static void next_input(vectors_t *v, NETWORK_input_t *x)
{
    int i;
    for (i = 0; i < NETWORK_INPUTS; i++) {
        const int64_t value = next_value(v);
        if (value < NETWORK_INPUT_LOW || value > NETWORK_INPUT_HIGH) fail(v->path, "has a value beyond the input's type");
        x[i] = (NETWORK_input_t)value;
    }
}

static int compare(vectors_t *inputs, vectors_t *expected)
{
    static NETWORK_input_t x[NETWORK_INPUTS];
    static NETWORK_output_t y[NETWORK_OUTPUTS];
    long n;
    int o;
    if (inputs->count != expected->count) fail(expected->path, "has another number of vectors than the inputs");
    for (n = 0; n < inputs->count; n++) {
        next_input(inputs, x);
        NETWORK_run(x, y);
        for (o = 0; o < NETWORK_OUTPUTS; o++) {
            const int64_t wanted = next_value(expected);
            if (y[o] != wanted) {
                printf("vector %ld, output %d: %.0f, expected %.0f\n", n, o, (double)y[o], (double)wanted);
                return 1;
            }
        }
    }
    printf("%ld vectors: all outputs equal\n", inputs->count);
    return 0;
}

static int write_outputs(vectors_t *inputs, const char *path)
{
    static NETWORK_input_t x[NETWORK_INPUTS];
    static NETWORK_output_t y[NETWORK_OUTPUTS];
    FILE *file = fopen(path, "wb");
    char header[HEADER + 1];
    long n;
    int o, i, length;
    if (!file) fail(path, "cannot be written");
    length = sprintf(header, "\x93NUMPY%c%c%c%c{'descr': '<i8', 'fortran_order': False, 'shape': (%ld, %d), }",
                     1, 1, HEADER - 10, 1, inputs->count, NETWORK_OUTPUTS);
    header[7] = header[9] = 0;  /* a zero would have ended the text */
    memset(header + length, ' ', (size_t)(HEADER - 1 - length));
    header[HEADER - 1] = '\n';
    fwrite(header, 1, HEADER, file);
    for (n = 0; n < inputs->count; n++) {
        next_input(inputs, x);
        NETWORK_run(x, y);
        for (o = 0; o < NETWORK_OUTPUTS; o++)
            for (i = 0; i < 8; i++) putc((int)((uint64_t)(int64_t)y[o] >> (8 * i) & 255), file);
    }
    if (ferror(file) || fclose(file)) fail(path, "could not be written");
    return 0;
}

/* What /proc/cpuinfo says after the first of these words that it has. */
static void find_machine(char *machine, size_t size)
{
    static const char *const keys[] = {"model name", "Model", "Hardware", "CPU part"};
    char line[256];
    size_t k;
    for (k = 0; k < sizeof keys / sizeof *keys; k++) {
        FILE *file = fopen("/proc/cpuinfo", "r");
        if (!file) break;
        while (fgets(line, sizeof line, file)) {
            const char *colon = strchr(line, ':');
            if (colon && !strncmp(line, keys[k], strlen(keys[k]))) {
                size_t n = 0;
                for (colon++; *colon == ' '; colon++) {}
                for (; *colon && *colon != '\n' && n + 1 < size; colon++)
                    if (*colon >= ' ' && *colon != '"' && *colon != '\\') machine[n++] = *colon;
                machine[n] = 0;
                fclose(file);
                return;
            }
        }
        fclose(file);
    }
    memcpy(machine, "unknown", sizeof "unknown");
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int measure(vectors_t *inputs)
{
    static NETWORK_output_t y[NETWORK_OUTPUTS];
    const long count = inputs->count < TIMED_VECTORS ? inputs->count : TIMED_VECTORS;
    NETWORK_input_t *x = (NETWORK_input_t *)malloc((size_t)(count + !count) * NETWORK_INPUTS * sizeof *x);
    volatile int64_t kept = 0;  /* so that no inference can be left out */
    double found[REPEATS];
    char machine[128];
    long n, k, passes = 1;
    int r;
    if (!x || !count) fail(inputs->path, "has no vectors that could be timed");
    for (n = 0; n < count; n++) next_input(inputs, x + n * NETWORK_INPUTS);
    for (r = -1; r < REPEATS;) {
        const clock_t begun = clock();
        double seconds;
        for (k = 0; k < passes; k++)
            for (n = 0; n < count; n++) {
                NETWORK_run(x + n * NETWORK_INPUTS, y);
                kept += y[0];
            }
        seconds = (double)(clock() - begun) / CLOCKS_PER_SEC;
        if (r < 0 && seconds < PASS_SECONDS)
            passes *= 2;
        else if (r++ >= 0)
            found[r - 1] = 1e9 * seconds / ((double)passes * (double)count);
    }
    qsort(found, REPEATS, sizeof *found, ascending);
    find_machine(machine, sizeof machine);
    printf("{\"graph\": \"%s\", \"ns\": %.1f, \"lowest_ns\": %.1f, \"highest_ns\": %.1f, \"repeats\": %d, "
           "\"vectors\": %ld, \"compiler\": \"%s\", \"flags\": \"%s\", \"machine\": \"%s\"}\n",
           NETWORK_GRAPH, found[REPEATS / 2], found[0], found[REPEATS - 1], REPEATS, count, COMPILER, FLAGS, machine);
    free(x);
    return 0;
}

int main(int argc, char **argv)
{
    vectors_t inputs, expected;
    if (argc == 3 || (argc == 4 && !strcmp(argv[2], "--to"))) {
        inputs = open_vectors(argv[1], NETWORK_INPUTS);
        if (argc == 4) return write_outputs(&inputs, argv[3]);
        if (!strcmp(argv[2], "--time")) return measure(&inputs);
        expected = open_vectors(argv[2], NETWORK_OUTPUTS);
        return compare(&inputs, &expected);
    }
    fprintf(stderr, "usage: %s INPUTS.npy (EXPECTED.npy | --to OUTPUTS.npy | --time)\n", argv[0]);
    return 2;
}
