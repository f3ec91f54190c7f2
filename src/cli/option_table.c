/* SPDX-License-Identifier: Apache-2.0
 * THE table of commands and options. What stands here is what the parser takes and what --help, the manual page and the
 * completion show. */
#include "options.h"

#define SCREEN (1u << COMMAND_SCREEN)
#define CLASSIFY (1u << COMMAND_CLASSIFY)
#define TOKENIZE (1u << COMMAND_TOKENIZE)
#define INFO (1u << COMMAND_INFO)
#define TEXTS (CLASSIFY | TOKENIZE)
#define ROWS (SCREEN | CLASSIFY | TOKENIZE)
#define EVERY (ROWS | INFO)
#define AT(member) offsetof(settings, member)

const option_entry option_table[] = {
    {EVERY, 'm', "model", "DIR", OPTION_TEXT, AT(model), 0, 0,
     "The model: a Hugging Face checkpoint folder. Default: $ADESIEVE_MODEL, else the model that ships with adesieve."},
    {EVERY, 'o', "output", "FILE", OPTION_TEXT, AT(output), 0, 0,
     "Where to write; - is standard output, the default. A file appears under its name only when it is complete."},
    {SCREEN | CLASSIFY, 'f', "format", "jsonl|tsv|csv", OPTION_CHOICE, AT(format), 0, 0,
     "How to write the rows. Default: what the name of --output says (.jsonl .tsv .csv), else jsonl."},
    {INFO, 'f', "format", "text|json", OPTION_CHOICE, AT(format), 0, 0, "How to write. Default: text."},

    {SCREEN, 't', "threshold", "SCORE", OPTION_NUMBER, AT(threshold), 0, 1e30,
     "A sentence is a hit when its score is at or above this: from 0 to 1, for a regression model also more. "
     "Default: 0.5."},
    {SCREEN, 'a', "all", NULL, OPTION_FLAG, AT(all), 0, 0, "Write a row for every sentence, not only for hits."},
    {SCREEN, 0, "no-text", NULL, OPTION_FLAG, AT(no_text), 0, 0, "Leave the sentence itself out of the rows."},
    {SCREEN, 0, "no-deleted", NULL, OPTION_FLAG, AT(no_deleted), 0, 0,
     "Leave out the rows of deleted records; they are still counted."},
    {SCREEN, 0, "parts", "FILE", OPTION_TEXT, AT(parts), 0, 0,
     "Also write the texts of titles and abstract sections, in which start and end count, one JSON object a line."},
    {SCREEN, 0, "no-section-label", NULL, OPTION_FLAG, AT(no_section_label), 0, 0,
     "Do not put a section's label (\"RESULTS: \") before its first sentence for the model."},
    {SCREEN, 0, "limit", "N", OPTION_COUNT, AT(limit), 0, 0, "Read no more than N records."},

    {TEXTS, 'i', "input-format", "lines|csv|tsv|jsonl", OPTION_CHOICE, AT(input_format), 0, 0,
     "How texts are stored. Default: what the file's name says (.txt .csv .tsv .jsonl, each also .gz), else lines."},
    {TEXTS, 0, "text-field", "NAME", OPTION_TEXT, AT(text_field), 0, 0,
     "The column or field that holds the text. Default: text."},
    {TEXTS, 0, "with-text", NULL, OPTION_FLAG, AT(with_text), 0, 0, "Put the text into each JSON row, too."},
    {TEXTS, 0, "invalid-utf8", "error|replace", OPTION_CHOICE, AT(invalid_utf8), 0, 0,
     "What to do with bytes that are not UTF-8: stop reading the file, or put U+FFFD there and count. Default: error."},
    {ROWS, 0, "split-special-tokens", NULL, OPTION_FLAG, AT(split_special_tokens), 0, 0,
     "Treat \"[SEP]\" and the like, when written in a text, as ordinary text."},
    {EVERY, 0, "max-length", "N", OPTION_INTEGER, AT(max_length), 3, 1 << 20,
     "Tokens of a text at most, specials included; the rest is cut off and counted. Default: the model's maximum."},
    {ROWS, 0, "fail-fast", NULL, OPTION_FLAG, AT(fail_fast), 0, 0,
     "Stop at the first input that fails, instead of going on with the next."},

    {SCREEN | CLASSIFY | INFO, 0, "labels", "A,B,...", OPTION_TEXT, AT(labels), 0, 0,
     "Names for the model's labels, in their order, instead of its own."},
    {SCREEN | CLASSIFY | INFO, 0, "positive-label", "NAME", OPTION_TEXT, AT(positive_label), 0, 0,
     "The label whose probability is the score. Default: ADE, else the last one."},
    {SCREEN | CLASSIFY | INFO, 0, "device", "auto|cpu|cuda|cuda:N", OPTION_DEVICE, AT(device), 0, 0,
     "Where to compute. Default: auto, an NVIDIA GPU if one can be used (adesieve info says why not), else the CPU. "
     "cuda is cuda:0, the first GPU."},
    {SCREEN | CLASSIFY | INFO, 0, "precision", "auto|f32|bf16|f16", OPTION_CHOICE, AT(precision), 0, 0,
     "What to compute in. Default: auto, f16 on a GPU, bf16 where the processor has it, else f32. A GPU computes in f16 "
     "alone, a CPU in the other two."},
    {SCREEN | CLASSIFY | INFO, 0, "threads", "N", OPTION_INTEGER, AT(threads), 1, 4096,
     "Processor threads. Default: as many as this process may run on. The output is the same with any number."},
    {SCREEN | CLASSIFY | INFO, 0, "token-budget", "N", OPTION_INTEGER, AT(token_budget), 1, 1 << 20,
     "Tokens in a batch. Default: chosen for the device and its memory. The output is the same with any number."},

    {ROWS, 0, "stats", "FILE", OPTION_TEXT, AT(stats), 0, 0,
     "Write counts, times, speeds, model, device and versions as one JSON object."},
    {ROWS, 0, "progress", "auto|always|never", OPTION_CHOICE, AT(progress), 0, 0,
     "Say on standard error how far the run is. Default: auto, only on a terminal."},
    {EVERY, 'q', "quiet", NULL, OPTION_FLAG, AT(quiet), 0, 0, "Say nothing but errors."},
    {EVERY, 0, "log-json", NULL, OPTION_FLAG, AT(log_json), 0, 0,
     "Write messages as JSON, one object a line, with time, level, command and message."},
    {EVERY, 'h', "help", NULL, OPTION_FLAG, AT(help), 0, 0, "Show this help."},
    {EVERY, 0, "version", NULL, OPTION_FLAG, AT(version), 0, 0, "Show the version."},
};
const size_t option_table_size = sizeof option_table / sizeof option_table[0];

static const char *const screen_examples[] = {
    "The hits of a MEDLINE file, one JSON object a line:",
    "adesieve screen medline.xml.gz > hits.jsonl",
    "A folder of files into a table that appears when it is complete:",
    "adesieve screen -f tsv -o hits.tsv --stats stats.json medline/",
    "Every sentence of the first 100 records with its score:",
    "adesieve screen --all --limit 100 medline.xml.gz",
    "High recall: a low threshold, and the texts in which start and end count:",
    "adesieve screen --threshold 0.1 --parts parts.jsonl medline.xml.gz",
    NULL};
static const char *const classify_examples[] = {
    "One sentence:",
    "echo 'Rash after amoxicillin.' | adesieve classify",
    "One text a line, from a file:",
    "adesieve classify sentences.txt",
    "The column 'sentence' of a table, scores as CSV:",
    "adesieve classify --text-field sentence -f csv -o scores.csv sentences.csv",
    "JSON Lines in and out, with the text in each row:",
    "adesieve classify --with-text notes.jsonl.gz",
    "Another model, on the processor, with two threads:",
    "adesieve classify -m biobert --device cpu --threads 2 sentences.txt",
    NULL};
static const char *const tokenize_examples[] = {
    "What the model sees of a sentence:", "echo 'Rash after amoxicillin.' | adesieve tokenize",
    "Every text of a table, written to a file:",
    "adesieve tokenize --text-field sentence -o tokens.jsonl sentences.csv", NULL};
static const char *const info_examples[] = {
    "Versions, devices and the default model:", "adesieve info",
    "What a model folder is, and what it will run as, for a program:", "adesieve info -m biobert -f json", NULL};

const command_entry command_table[N_COMMANDS] = {
    [COMMAND_SCREEN] =
        {"screen", "find the adverse drug effects in MEDLINE/PubMed XML", "adesieve screen [OPTIONS] FILE...",
         "Reads MEDLINE/PubMed XML, plain or gzip, from files or from all such files of a folder; - is "
         "standard input. Files are taken in the order of the number in their names "
         "(pubmed26n1334 is 1334), whatever the order given; folders are not searched recursively. "
         "Writes one row for each sentence whose score reaches the threshold, in the order of files, records "
         "and sentences, and "
         "says at the end what was read.\n"
         "A row holds pmid, version, part (title or abstract), section, sentence (counted from 0 "
         "through the record), start and "
         "end (in code points, within the text of that part or section), text, label, score, truncated "
         "and source (the file). "
         "A deleted record gives a row that says so.",
         screen_examples},
    [COMMAND_CLASSIFY] = {"classify", "label and score each text", "adesieve classify [OPTIONS] [FILE...]",
                          "Reads texts: one a line, a column of a CSV or TSV file with a header line, or a field of "
                          "JSON Lines; each also "
                          "compressed by gzip. Without FILE, and for -, it reads standard input. Writes one row for "
                          "each text, in input order: an "
                          "empty text has one too.\n"
                          "A JSON row holds label (the likeliest), score (the probability of the positive label), "
                          "scores (of each label), logits, "
                          "tokens, unknown (how many of them the vocabulary lacks) and truncated. A TSV or CSV row "
                          "holds label, score and text.",
                          classify_examples},
    [COMMAND_TOKENIZE] = {"tokenize", "show the tokens that the model sees", "adesieve tokenize [OPTIONS] [FILE...]",
                          "Reads texts as classify does. Writes one JSON object for each: ids, tokens, offsets (start "
                          "and end in code points of "
                          "the text) and truncated.",
                          tokenize_examples},
    [COMMAND_INFO] = {"info", "show versions, devices, what a model is and what it will run as",
                      "adesieve info [OPTIONS]",
                      "Shows versions, the device and why it was chosen, and the model: labels, sizes, tokenizer, "
                      "whether it lower-cases texts "
                      "and why, and its hash.",
                      info_examples},
};
