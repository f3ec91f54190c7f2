/* SPDX-License-Identifier: Apache-2.0
 * Runs a fuzz target without libFuzzer: the corpus as it is, then mutations of it. The input ends at an unmapped page.
 * Usage: fuzz_x [-n RUNS] [-s SEED] FILE-OR-FOLDER...    The same seed gives the same inputs. */
#define _GNU_SOURCE
#include "fuzz.h"

#include <dirent.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define MOST (1u << 16) /* bytes of a mutated input */

typedef struct seed_file {
    uint8_t *data;
    size_t   size;
} seed_file;

static seed_file corpus[4096];
static size_t    n_corpus;
static uint64_t  state;

static uint32_t next(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32);
}

static size_t below(size_t n) { return n ? next() % n : 0; }

static void add_file(const char *path) {
    struct stat info;
    FILE       *file = fopen(path, "rb");
    if (!file || stat(path, &info) || n_corpus == sizeof corpus / sizeof *corpus) {
        fprintf(stderr, "%s cannot be read\n", path);
        exit(2);
    }
    seed_file *seed = &corpus[n_corpus++];
    seed->size = (size_t)info.st_size;
    seed->data = malloc(seed->size + 1);
    if (!seed->data || fread(seed->data, 1, seed->size, file) != seed->size) exit(2);
    fclose(file);
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void add(const char *path) {
    struct stat info;
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode)) {
        char          *names[1024];
        size_t         n = 0;
        DIR           *folder = opendir(path);
        struct dirent *entry;
        while (folder && (entry = readdir(folder)) && n < 1024)
            if (entry->d_name[0] != '.' && asprintf(&names[n], "%s/%s", path, entry->d_name) > 0) n++;
        if (folder) closedir(folder);
        qsort(names, n, sizeof *names, by_name);
        for (size_t i = 0; i < n; i++) add_file(names[i]), free(names[i]);
    } else {
        add_file(path);
    }
}

/* One byte too many read is a fault, not luck. */
static void run(const uint8_t *data, size_t size) {
    static uint8_t *pages;
    static size_t   mapped;
    size_t          page = (size_t)sysconf(_SC_PAGESIZE), need = (size + page - 1) / page * page + page;
    if (need > mapped) {
        if (pages) munmap(pages, mapped + page);
        mapped = need;
        pages = mmap(NULL, mapped + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (pages == MAP_FAILED || mprotect(pages + mapped, page, PROT_NONE)) exit(2);
    }
    uint8_t *at = pages + mapped - size;
    if (size) memcpy(at, data, size);
    LLVMFuzzerTestOneInput(at, size);
}

static size_t mutate(uint8_t *data, size_t size) {
    static const char *const words[] = {"[SEP]", "[MASK]", "\xff", "\xc3\xa9", "\xe2\x80\xa8", "<", ">", "&", "</", "]]>",
                                        "{", "}", "[", "]", "\"", ":", ",", "-1", "99999999999999999999", "1e999", "null",
                                        "\\u0000", "\\ud800", ". ", "\r\n", "\0", "Dr. ", "\x1f\x8b", "\xef\xbb\xbf"};
    for (size_t changes = 1 + below(4); changes; changes--) {
        size_t at = below(size + 1), n;
        switch (below(7)) {
        case 0: /* one bit */
            if (at < size) data[at] ^= (uint8_t)(1u << below(8));
            break;
        case 1: /* one byte */
            if (at < size) data[at] = (uint8_t)next();
            break;
        case 2: /* a part goes */
            n = below(size - at + 1) >> below(8);
            memmove(data + at, data + at + n, size - at - n);
            size -= n;
            break;
        case 3: /* the end goes */
            if (below(4) == 0) size = at;
            break;
        case 4: { /* a word comes */
            const char *word = words[below(sizeof words / sizeof *words)];
            n = *word ? strlen(word) : 1;
            if (size + n > MOST) break;
            memmove(data + at + n, data + at, size - at);
            memcpy(data + at, word, n);
            size += n;
            break;
        }
        case 5: { /* a part of the corpus comes */
            const seed_file *other = &corpus[below(n_corpus)];
            size_t           from = below(other->size);
            n = below(other->size - from + 1) >> below(6);
            if (size + n > MOST) break;
            memmove(data + at + n, data + at, size - at);
            memcpy(data + at, other->data + from, n);
            size += n;
            break;
        }
        default: /* a number's bytes change, little-endian */
            if (at + 8 <= size) {
                uint64_t value;
                memcpy(&value, data + at, sizeof value);
                value += (uint64_t)below(64) - 32;
                memcpy(data + at, &value, sizeof value);
            }
        }
    }
    return size;
}

static uint8_t  input[MOST + 64];
static size_t   input_size;
static uint64_t input_number;

/* What broke it: the input as a file, so that it can be run again. */
static void on_fault(int signal_number) {
    static const char name[] = "fuzz-failed-input";
    int               fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd >= 0) {
        ssize_t ignored = write(fd, input, input_size);
        (void)ignored;
        close(fd);
    }
    fprintf(stderr, "input number %llu (%zu bytes) is in %s\n", (unsigned long long)input_number, input_size, name);
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

int main(int argc, char **argv) {
    unsigned long runs = 0;
    state = 1;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-n") == 0 && i + 1 < argc) runs = strtoul(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "-s") == 0 && i + 1 < argc) state = strtoul(argv[++i], NULL, 10) * 2 + 1;
        else add(argv[i]);
    }
    signal(SIGABRT, on_fault);
    signal(SIGSEGV, on_fault);
    signal(SIGBUS, on_fault);
    run(input, 0);
    for (size_t i = 0; i < n_corpus; i++) run(corpus[i].data, corpus[i].size);
    for (input_number = 1; n_corpus && input_number <= runs; input_number++) {
        const seed_file *seed = &corpus[below(n_corpus)];
        input_size = seed->size < MOST / 2 ? seed->size : MOST / 2;
        memcpy(input, seed->data, input_size);
        input_size = mutate(input, input_size);
        run(input, input_size);
    }
    printf("%zu corpus files and %lu mutations\n", n_corpus, n_corpus ? runs : 0);
    for (size_t i = 0; i < n_corpus; i++) free(corpus[i].data);
    return n_corpus ? 0 : 2;
}
