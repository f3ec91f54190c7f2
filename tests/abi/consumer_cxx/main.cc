/* SPDX-License-Identifier: Apache-2.0
 * A C++ program as a user would write it: built by find_package against an installed adesieve. */
#include <adesieve.h>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    ade_model   *opened = nullptr;
    ade_session *started = nullptr;
    if (ade_model_open(argv[1], nullptr, &opened) != ADE_OK) {
        std::fprintf(stderr, "%s\n", ade_last_error());
        return 1;
    }
    std::unique_ptr<ade_model, void (*)(ade_model *)> model(opened, ade_model_close);
    if (ade_session_open(model.get(), nullptr, &started) != ADE_OK) {
        std::fprintf(stderr, "%s\n", ade_last_error());
        return 1;
    }
    std::unique_ptr<ade_session, void (*)(ade_session *)> session(started, ade_session_close);
    const std::vector<std::string> sentences = {"Rash after amoxicillin.", "No effect was seen."};
    std::vector<ade_text>          texts;
    for (const std::string &sentence : sentences) texts.push_back({sentence.data(), sentence.size()});
    std::vector<ade_result> results(texts.size());
    std::vector<float>      probabilities(2 * texts.size());
    if (ade_classify(session.get(), texts.data(), texts.size(), results.data(), nullptr, probabilities.data()) != ADE_OK) {
        std::fprintf(stderr, "%s\n", ade_last_error());
        return 1;
    }
    for (std::size_t i = 0; i < texts.size(); i++)
        std::printf("%s %.4f %.4f\n", ade_model_label(model.get(), results[i].label),
                    static_cast<double>(probabilities[2 * i]), static_cast<double>(probabilities[2 * i + 1]));
    return 0;
}
