/* SPDX-License-Identifier: Apache-2.0
 * See model_guard.h. */
#include "model_guard.h"

#include "adesieve.h"

#include "exit_status.h"
#include "messages.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* Whether the file is one of those directly in the folder. A folder that cannot be read is no model's. */
static int holds(const char *folder, const struct stat *file, const char *but) {
    DIR           *entries = opendir(folder);
    struct dirent *entry;
    int            found = 0;
    if (!entries) return 0;
    while (!found && (entry = readdir(entries)) != NULL) {
        struct stat info;
        found = (!but || strcmp(entry->d_name, but) != 0) && fstatat(dirfd(entries), entry->d_name, &info, 0) == 0 &&
                S_ISREG(info.st_mode) && info.st_dev == file->st_dev && info.st_ino == file->st_ino;
    }
    closedir(entries);
    return found;
}

static int check(const char *path, const char *folder, const char *but) {
    struct stat file;
    if (!path || !folder || stat(path, &file) != 0 || !S_ISREG(file.st_mode) || !holds(folder, &file, but)) return CLI_OK;
    say(SAY_ERROR, "%s: is a file of the model %s and would be overwritten; choose another name for the output.", path,
        folder);
    return CLI_FAILED;
}

int model_guard_check(command_id command, const settings *wanted) {
    const char *const outputs[] = {wanted->output,   wanted->stats,       wanted->parts, wanted->errors,
                                   wanted->manifest, wanted->metrics_file};
    const char       *folders[MOST_MODELS + 2] = {wanted->prefilter};
    size_t            n = 1;
    if (command == COMMAND_EXPORT) return CLI_OK; /* it has no model */
    for (int i = 0; i < wanted->n_models; i++) folders[n++] = wanted->models[i];
    if (n == 1) folders[n++] = wanted->model ? wanted->model : ade_default_model();
    for (size_t i = 0; i < sizeof outputs / sizeof *outputs; i++)
        for (size_t k = 0; k < n; k++) {
            int calibrates = command == COMMAND_CALIBRATE && outputs[i] == wanted->output;
            int status = check(outputs[i], folders[k], calibrates ? "calibration.json" : NULL);
            if (status != CLI_OK) return status;
        }
    return CLI_OK;
}
