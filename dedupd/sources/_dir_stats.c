/* The names in an open directory and their packed stats, as local_scan.py makes them in Python, without an object a field.
 *
 * Anything unusual is given back to the caller (None), who looks at each name by itself: what is no regular file, is gone
 * or cannot be stat'ed, and numbers beyond 64 bits. So no directory is read differently here.
 *
 * All system calls go by descriptor and follow no symlink. No state outlives a call; others may run meanwhile. */

#define PY_SSIZE_T_CLEAN
#define _GNU_SOURCE
#include <Python.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PACKED_BYTES = 40 }; /* core/stat_key.py: dev, ino, size, mtime and ctime in ns, little endian */

static void put(uint8_t *at, uint64_t value) {
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
    value = __builtin_bswap64(value);
#endif
    memcpy(at, &value, sizeof value);
}

/* Whether it fits into a signed 64-bit number of nanoseconds. */
static int put_time(uint8_t *at, struct timespec time) {
    int64_t ns;
    if (__builtin_mul_overflow((int64_t)time.tv_sec, (int64_t)1000000000, &ns)) return 0;
    if (__builtin_add_overflow(ns, (int64_t)time.tv_nsec, &ns)) return 0;
    put(at, (uint64_t)ns);
    return 1;
}

/* Whether it is a regular file whose stat can be packed. */
static int pack(int fd, const char *name, uint8_t *packed) {
    struct stat facts;
    if (fstatat(fd, name, &facts, AT_SYMLINK_NOFOLLOW) || !S_ISREG(facts.st_mode) || facts.st_size < 0) return 0;
    put(packed, (uint64_t)facts.st_dev);
    put(packed + 8, (uint64_t)facts.st_ino);
    put(packed + 16, (uint64_t)facts.st_size);
    return put_time(packed + 24, facts.st_mtim) && put_time(packed + 32, facts.st_ctim);
}

static PyObject *py_stats_of(PyObject *module, PyObject *args) {
    int fd, is_plain = 1;
    PyObject *given, *stats = NULL;
    (void)module;
    if (!PyArg_ParseTuple(args, "iO!", &fd, &PyList_Type, &given)) return NULL;
    PyObject *names = PyList_AsTuple(given); /* nobody changes it meanwhile */
    if (!names) return NULL;
    Py_ssize_t count = PyTuple_GET_SIZE(names);
    char **texts = malloc((size_t)count * sizeof *texts + 1);
    uint8_t *packed = malloc((size_t)count * PACKED_BYTES + 1);
    if (!texts || !packed) {
        PyErr_NoMemory();
        goto end;
    }
    for (Py_ssize_t i = 0; i < count; i++)
        if (PyBytes_AsStringAndSize(PyTuple_GET_ITEM(names, i), &texts[i], NULL) < 0) goto end;
    Py_BEGIN_ALLOW_THREADS
    for (Py_ssize_t i = 0; i < count && is_plain; i++) is_plain = pack(fd, texts[i], packed + i * PACKED_BYTES);
    Py_END_ALLOW_THREADS
    if (!is_plain) {
        stats = Py_NewRef(Py_None);
        goto end;
    }
    stats = PyDict_New();
    for (Py_ssize_t i = 0; i < count && stats; i++) {
        PyObject *value = PyBytes_FromStringAndSize((const char *)packed + i * PACKED_BYTES, PACKED_BYTES);
        if (!value || PyDict_SetItem(stats, PyTuple_GET_ITEM(names, i), value) < 0) Py_CLEAR(stats);
        Py_XDECREF(value);
    }
end:
    free(packed);
    free(texts);
    Py_DECREF(names);
    return stats;
}

/* ------------------------------------------------------------------------------------------------------------ names */

typedef struct {
    char *bytes; /* names, each with its NUL */
    size_t used, room;
    size_t count;
} Names;

static int add(Names *names, const char *name) {
    size_t size = strlen(name) + 1;
    if (names->used + size > names->room) {
        size_t room = 2 * (names->room + size) + 4096;
        char *bytes = realloc(names->bytes, room);
        if (!bytes) return 0;
        names->bytes = bytes;
        names->room = room;
    }
    memcpy(names->bytes + names->used, name, size);
    names->used += size;
    names->count++;
    return 1;
}

static int in_order(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* All names of a directory but its own and its parent's; an errno, 0 for none. Reads from where the descriptor stands
 * and leaves it at the start, as os.listdir does. */
static int read_names(int fd, Names *names) {
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (own < 0) return errno;
    DIR *entries = fdopendir(own);
    if (!entries) {
        int error = errno;
        close(own);
        return error;
    }
    int error = 0;
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(entries);
        if (!entry) {
            error = errno;
            break;
        }
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        if (!add(names, entry->d_name)) {
            error = ENOMEM;
            break;
        }
    }
    rewinddir(entries);
    closedir(entries);
    return error;
}

static PyObject *py_names_in(PyObject *module, PyObject *args) {
    int fd, error;
    Names names = {0};
    char **sorted = NULL;
    PyObject *list = NULL;
    (void)module;
    if (!PyArg_ParseTuple(args, "i", &fd)) return NULL;
    Py_BEGIN_ALLOW_THREADS
    error = read_names(fd, &names);
    if (!error && !(sorted = malloc(names.count * sizeof *sorted + 1))) error = ENOMEM;
    if (!error) {
        char *at = names.bytes;
        for (size_t i = 0; i < names.count; i++, at += strlen(at) + 1) sorted[i] = at;
        qsort(sorted, names.count, sizeof *sorted, in_order);
    }
    Py_END_ALLOW_THREADS
    if (error) {
        errno = error;
        PyErr_SetFromErrno(PyExc_OSError);
    } else {
        list = PyList_New((Py_ssize_t)names.count);
    }
    for (size_t i = 0; i < names.count && list; i++) {
        PyObject *name = PyBytes_FromString(sorted[i]);
        if (name)
            PyList_SET_ITEM(list, (Py_ssize_t)i, name);
        else
            Py_CLEAR(list);
    }
    free(sorted);
    free(names.bytes);
    return list;
}

static PyMethodDef METHODS[] = {
    {"names_in", py_names_in, METH_VARARGS,
     "names_in(fd)\n--\n\nAll names in an open directory, sorted; OSError where they cannot be read."},
    {"stats_of", py_stats_of, METH_VARARGS,
     "stats_of(fd, names)\n--\n\nName to packed stat, in an open directory; None where one is anything unusual."},
    {NULL, NULL, 0, NULL}};

static struct PyModuleDef MODULE = {PyModuleDef_HEAD_INIT, "_dir_stats", NULL, 0, METHODS, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__dir_stats(void) {
    return PyModuleDef_Init(&MODULE);
}
