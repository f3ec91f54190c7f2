/* SPDX-License-Identifier: Apache-2.0
 * A C program as a user would write it: built by pkg-config against an installed adesieve. */
#include <adesieve.h>

#include <stdio.h>

int main(int argc, char **argv) {
    ade_model     *model = NULL;
    ade_session   *session = NULL;
    const ade_text texts[] = {{"Rash after amoxicillin.", 23}, {"No effect was seen.", 19}};
    ade_result     results[2];
    float          probabilities[4];
    int            failed = 1;

    if (argc != 2) {
        fprintf(stderr, "usage: %s MODEL\n", argv[0]);
        return 2;
    }
    if (ade_model_open(argv[1], NULL, &model) || ade_session_open(model, NULL, &session) ||
        ade_classify(session, texts, 2, results, NULL, probabilities)) {
        fprintf(stderr, "%s\n", ade_last_error());
    } else {
        for (int i = 0; i < 2; i++)
            printf("%s %.4f %.4f\n", ade_model_label(model, results[i].label), (double)probabilities[2 * i],
                   (double)probabilities[2 * i + 1]);
        failed = 0;
    }
    ade_session_close(session);
    ade_model_close(model);
    return failed;
}
