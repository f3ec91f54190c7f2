/* SPDX-License-Identifier: Apache-2.0
 * THE table of commands and options. What stands here is what the parser takes and what --help, the manual page and the
 * completion show. */
#include "options.h"

#define SCREEN (1u << COMMAND_SCREEN)
#define CLASSIFY (1u << COMMAND_CLASSIFY)
#define EVALUATE (1u << COMMAND_EVALUATE)
#define CALIBRATE (1u << COMMAND_CALIBRATE)
#define TOKENIZE (1u << COMMAND_TOKENIZE)
#define EXPORT (1u << COMMAND_EXPORT)
#define INFO (1u << COMMAND_INFO)
#define BENCH (1u << COMMAND_BENCH)
#define LABELLED (EVALUATE | CALIBRATE)
#define TEXTS (CLASSIFY | TOKENIZE | LABELLED | BENCH)
#define ROWS (SCREEN | CLASSIFY | TOKENIZE)
#define MODEL (SCREEN | CLASSIFY | LABELLED | INFO)
#define COMPUTES (MODEL | BENCH)
#define EVERY (ROWS | LABELLED | INFO | BENCH)
#define AT(member) offsetof(settings, member)

const option_entry option_table[] = {
    {EVALUATE, 'm', "model", "DIR", OPTION_MODELS, AT(models), 0, 0,
     "A model: a Hugging Face checkpoint folder or a baseline. Given several times, the models are compared side by "
     "side. Default: $ADESIEVE_MODEL, else the model that ships with adesieve."},
    {EVERY & ~EVALUATE, 'm', "model", "DIR", OPTION_TEXT, AT(model), 0, 0,
     "The model: a Hugging Face checkpoint folder. Default: $ADESIEVE_MODEL, else the model that ships with adesieve."},
    {CALIBRATE, 'o', "output", "FILE", OPTION_TEXT, AT(output), 0, 0,
     "Write the calibration to this file, for --calibration. Default: calibration.json in the model's folder."},
    {(EVERY & ~CALIBRATE) | EXPORT, 'o', "output", "FILE", OPTION_TEXT, AT(output), 0, 0,
     "Where to write; - is standard output, the default. A file appears under its name only when it is complete."},
    {SCREEN | CLASSIFY, 'f', "format", "jsonl|tsv|csv", OPTION_CHOICE, AT(format), 0, 0,
     "How to write the rows. Default: what the name of --output says (.jsonl .tsv .csv), else jsonl."},
    {EVALUATE, 'f', "format", "text|json|markdown", OPTION_CHOICE, AT(format), 0, 0, "How to write. Default: text."},
    {INFO | CALIBRATE | BENCH, 'f', "format", "text|json", OPTION_CHOICE, AT(format), 0, 0, "How to write. Default: text."},

    {SCREEN, 't', "threshold", "SCORE", OPTION_THRESHOLD, AT(threshold), 0, 0,
     "A sentence is a hit when its score is at or above this: from 0 to 1, for a regression model also more. "
     "Default: 0.5. recall=R, precision=P or review=S look the score up in the model's calibration: the highest with "
     "that recall, the lowest with that precision, the lowest that finds at most that share of all sentences."},
    {CLASSIFY, 't', "threshold", "SCORE", OPTION_THRESHOLD, AT(threshold), 0, 0,
     "Add to each row whether the score is at or above this (hit). recall=R, precision=P or review=S look the score up "
     "in the model's calibration: the highest with that recall, the lowest with that precision, the lowest that finds "
     "at most that share of all texts."},
    {SCREEN | CLASSIFY, 0, "calibrated", NULL, OPTION_FLAG, AT(calibrated), 0, 0,
     "Add to each row the calibrated probability (calibrated). The score itself stays the model's own."},
    {SCREEN | CLASSIFY | INFO, 0, "calibration", "FILE", OPTION_TEXT, AT(calibration), 0, 0,
     "Read the calibration from this file. Default: calibration.json in the model's folder, if there is one."},
    {SCREEN | CLASSIFY, 0, "prevalence", "SHARE", OPTION_SHARE, AT(prevalence), 0, 1,
     "The share of positive texts to expect, such as 0.02. It moves calibrated probabilities, and what --threshold "
     "precision=P and review=S look up, but no score. Default: that of the calibration's texts."},
    {SCREEN, 0, "prefilter", "DIR", OPTION_TEXT, AT(prefilter), 0, 0,
     "A calibrated baseline that looks at each sentence first; what it finds unlikely is not given to the model, gives "
     "no row, and is counted. What recall that costs is said."},
    {SCREEN, 0, "prefilter-recall", "R", OPTION_SHARE, AT(prefilter_recall), 0, 1,
     "How many of the positive sentences the prefilter shall let pass, by its calibration. Default: 0.995."},

    {EVALUATE, 0, "errors", "FILE", OPTION_TEXT, AT(errors), 0, 0,
     "Also write the texts that were labelled wrongly, in input order, as CSV: text, true, predicted. With several "
     "models a column of labels for each."},
    {LABELLED, 0, "seen", "FILE", OPTION_TEXT, AT(seen), 0, 0,
     "The texts that the model was trained on. evaluate then also reports the rows that occur there and the distinct ones "
     "that do not; calibrate takes only these."},
    {EVALUATE, 0, "bootstrap", "N", OPTION_INTEGER, AT(bootstrap), 0, 1000000,
     "Samples of the bootstrap that gives the intervals; 0 leaves them out. Default: 10000."},
    {LABELLED, 0, "seed", "N", OPTION_COUNT, AT(seed), 0, 0, "What chance starts from. Default: 42."},
    {EVALUATE, 't', "threshold", "SCORE", OPTION_THRESHOLD, AT(threshold), 0, 0,
     "Count a text as positive when its score is at or above this, instead of by the likeliest label; two labels only. "
     "recall=R, precision=P or review=S look the score up in each model's calibration."},
    {EVALUATE, 0, "prevalence", "SHARE", OPTION_SHARE, AT(prevalence), 0, 1,
     "The share of positive texts for what --threshold precision=P and review=S look up. Default: that of the "
     "calibration's texts."},
    {CALIBRATE, 0, "prevalence", "SHARE", OPTION_SHARE, AT(prevalence), 0, 1,
     "The share of positive texts for which the table shows precisions and shares to review. Default: that of the texts."},
    {CALIBRATE, 0, "method", "auto|temperature|platt|isotonic", OPTION_CHOICE, AT(method), 0, 0,
     "How to calibrate. Default: auto, what has the lowest cross-validated log-loss."},
    {CALIBRATE, 0, "folds", "N", OPTION_INTEGER, AT(folds), 2, 100, "Parts of the cross-validation. Default: 10."},
    {CALIBRATE, 0, "data", "TEXT", OPTION_TEXT, AT(data), 0, 0,
     "What the texts are, kept with the calibration. Default: the names of the inputs."},
    {SCREEN, 'a', "all", NULL, OPTION_FLAG, AT(all), 0, 0,
     "Write a row for every sentence, not only for hits; with --prefilter, sentences that it leaves out have none."},
    {SCREEN, 0, "no-text", NULL, OPTION_FLAG, AT(no_text), 0, 0, "Leave the sentence itself out of the rows."},
    {SCREEN, 0, "no-deleted", NULL, OPTION_FLAG, AT(no_deleted), 0, 0,
     "Leave out the rows of deleted records; they are still counted."},
    {SCREEN, 0, "parts", "FILE", OPTION_TEXT, AT(parts), 0, 0,
     "Also write the texts of titles and abstract sections, in which start and end count, one JSON object a line."},
    {SCREEN, 0, "no-section-label", NULL, OPTION_FLAG, AT(no_section_label), 0, 0,
     "Do not put a section's label (\"RESULTS: \") before its first sentence for the model."},
    {SCREEN, 0, "other-abstracts", "none|english|all", OPTION_CHOICE, AT(other_abstracts), 0, 0,
     "Screen further abstracts of a record, too, such as plain-language summaries and translations. Default: none."},
    {SCREEN, 0, "document", NULL, OPTION_FLAG, AT(document), 0, 0,
     "Write one row for each record that has a hit: its best sentence, and its scores over all sentences. With "
     "--all, a row for every record."},
    {SCREEN, 0, "metadata", NULL, OPTION_FLAG, AT(metadata), 0, 0,
     "Put into each row what a reviewer needs of the record: date, journal, doi, languages, publication types, "
     "retraction, MeSH headings and two flags from them, chemicals."},
    {SCREEN, 0, "limit", "N", OPTION_COUNT, AT(limit), 0, 0,
     "Read no more than N records; with --state, to the end of the file in which the N-th is."},
    {SCREEN, 0, "files-from", "FILE", OPTION_TEXT, AT(files_from), 0, 0,
     "Take further inputs from FILE, a path a line; - is standard input."},
    {SCREEN, 0, "no-md5", NULL, OPTION_FLAG, AT(no_md5), 0, 0,
     "Do not compare an input with the MD5 sum in the file INPUT.md5 beside it."},
    {SCREEN, 0, "dry-run", NULL, OPTION_FLAG, AT(dry_run), 0, 0,
     "Read and count only: no model, no rows. A store is looked at, but not changed."},

    {SCREEN, 0, "state", "FILE", OPTION_TEXT, AT(store), 0, 0,
     "Keep what is done in the store FILE, made if missing: a run that is killed goes on where it was, files that are "
     "done are not read again, and a record is screened again only if its text has changed. --output then holds the "
     "rows of this run only, and replaces an older file if an input was new; 'adesieve export' writes all. Standard "
     "output and pipes do not go on: after a kill, rows of the file at work come again."},
    {SCREEN, 0, "no-store-text", NULL, OPTION_FLAG, AT(no_store_text), 0, 0,
     "Keep no sentences and no texts in the store."},
    {SCREEN, 0, "abandon-output", NULL, OPTION_FLAG, AT(abandon_output), 0, 0,
     "Do not go on with the output of an interrupted run; its rows are in the store only. With --output-dir, inputs "
     "that are done and have no output there are an error (status 3)."},
    {SCREEN, 0, "output-dir", "DIR", OPTION_TEXT, AT(output_dir), 0, 0,
     "Write the rows of each input to a file of its own in DIR, named as the input, with the format's suffix. It "
     "appears when the input is done. DIR is made if missing."},
    {SCREEN, 0, "manifest", "FILE", OPTION_TEXT, AT(manifest), 0, 0,
     "Write what was searched, with what, when and how, as one JSON object. Default with --output-dir: manifest.json "
     "there."},
    {SCREEN, 0, "metrics-file", "FILE", OPTION_TEXT, AT(metrics_file), 0, 0,
     "Keep the counts in FILE up to date during the run, in the text format of Prometheus."},

    {EXPORT, 'f', "format", "jsonl|tsv|csv|pubannotation|brat|ris", OPTION_CHOICE, AT(format), 0, 0,
     "How to write. Default: what the name of --output says (.jsonl .tsv .csv .ris), else jsonl."},
    {EXPORT, 0, "output-dir", "DIR", OPTION_TEXT, AT(output_dir), 0, 0,
     "The folder that brat's files are written to. It must be new or empty, and appears when it is complete."},
    {EXPORT, 't', "threshold", "SCORE", OPTION_NUMBER, AT(threshold), 0, 1e30,
     "Only hits with this score or a higher one; it cannot be lower than the store's. Default: the store's."},
    {EXPORT, 0, "sort", "pmid|score", OPTION_CHOICE, AT(sort), 0, 0,
     "The order of the records. Default: score for ris, the highest first, else pmid. For score, what is written waits "
     "in a temporary file beside --output, or in $TMPDIR."},
    {EXPORT, 0, "limit", "N", OPTION_COUNT, AT(limit), 0, 0,
     "Write no more than N records: the first N in that order."},
    {EXPORT, 0, "document", NULL, OPTION_FLAG, AT(document), 0, 0,
     "Write one row for each record: its best sentence, and its scores over all sentences (jsonl, tsv, csv)."},
    {EXPORT, 0, "metadata", NULL, OPTION_FLAG, AT(metadata), 0, 0,
     "Put into each row what a reviewer needs of the record, as screen does (jsonl, tsv, csv)."},
    {EXPORT, 0, "no-text", NULL, OPTION_FLAG, AT(no_text), 0, 0,
     "Leave the sentence itself out of the rows (jsonl, tsv, csv)."},
    {EXPORT, 0, "deleted", NULL, OPTION_FLAG, AT(deleted), 0, 0,
     "Also write a row for each deleted record (jsonl, tsv, csv)."},
    {EXPORT, 0, "summary", NULL, OPTION_FLAG, AT(summary), 0, 0,
     "Instead of hits, show what the store holds: counts, settings and runs."},

    {TEXTS, 'i', "input-format", "lines|csv|tsv|jsonl", OPTION_CHOICE, AT(input_format), 0, 0,
     "How texts are stored. Default: what the file's name says (.txt .csv .tsv .jsonl, each also .gz), else lines."},
    {TEXTS, 0, "text-field", "NAME", OPTION_TEXT, AT(text_field), 0, 0,
     "The column or field that holds the text. Default: text."},
    {LABELLED, 0, "label-field", "NAME", OPTION_TEXT, AT(label_field), 0, 0,
     "The column or field that holds the label: one of the model's labels, or its number. Default: label."},
    {CLASSIFY | TOKENIZE, 0, "with-text", NULL, OPTION_FLAG, AT(with_text), 0, 0, "Put the text into each JSON row, too."},
    {TEXTS, 0, "invalid-utf8", "error|replace", OPTION_CHOICE, AT(invalid_utf8), 0, 0,
     "What to do with bytes that are not UTF-8: stop reading the file, or put U+FFFD there and count. Default: error."},
    {ROWS | LABELLED, 0, "split-special-tokens", NULL, OPTION_FLAG, AT(split_special_tokens), 0, 0,
     "Treat \"[SEP]\" and the like, when written in a text, as ordinary text."},
    {EVERY, 0, "max-length", "N", OPTION_INTEGER, AT(max_length), 3, 1 << 20,
     "Tokens of a text at most, specials included; the rest is cut off and counted. Default: the model's maximum."},
    {ROWS, 0, "fail-fast", NULL, OPTION_FLAG, AT(fail_fast), 0, 0,
     "Stop at the first input that fails, instead of going on with the next."},

    {MODEL, 0, "labels", "A,B,...", OPTION_TEXT, AT(labels), 0, 0,
     "Names for the model's labels, in their order, instead of its own."},
    {MODEL, 0, "positive-label", "NAME", OPTION_TEXT, AT(positive_label), 0, 0,
     "The label whose probability is the score. Default: ADE, else the last one."},
    {COMPUTES, 0, "device", "auto|cpu|cuda|cuda:N", OPTION_DEVICE, AT(device), 0, 0,
     "Where to compute. Default: auto, an NVIDIA GPU if one can be used (adesieve info says why not), else the CPU. "
     "cuda is cuda:0, the first GPU."},
    {COMPUTES, 0, "precision", "auto|f32|bf16|f16|f64|int8", OPTION_CHOICE, AT(precision), 0, 0,
     "What to compute in. Default: auto, f16 on a GPU, bf16 where the processor has it, else f32. A GPU computes in "
     "f16 alone, a CPU in f32, bf16 or int8, and a baseline in f64. int8 is the fastest, and is only used when it is asked "
     "for: it decides a few texts otherwise than f32. It needs AVX-512 VNNI or AMX."},
    {COMPUTES, 0, "threads", "N", OPTION_INTEGER, AT(threads), 1, 4096,
     "Processor threads. Default: as many as this process may run on. The output is the same with any number."},
    {COMPUTES, 0, "token-budget", "N", OPTION_INTEGER, AT(token_budget), 1, 1 << 20,
     "Tokens in a batch. Default: chosen for the device and its memory. The output is the same with any number."},

    {BENCH, 0, "seconds", "S", OPTION_NUMBER, AT(seconds), 0.1, 1e6,
     "How long to classify, after a short warm-up; texts alone take a second more, or what 100 calls need. Default: 10."},
    {ROWS | EVALUATE, 0, "stats", "FILE", OPTION_TEXT, AT(stats), 0, 0,
     "Write counts, times, speeds, where the time went (profile), model, device and versions as one JSON object."},
    {ROWS | LABELLED | EXPORT, 0, "progress", "auto|always|never", OPTION_CHOICE, AT(progress), 0, 0,
     "Say on standard error how far the run is. Default: auto, only on a terminal."},
    {EVERY | EXPORT, 'q', "quiet", NULL, OPTION_FLAG, AT(quiet), 0, 0, "Say nothing but errors."},
    {EVERY | EXPORT, 0, "log-json", NULL, OPTION_FLAG, AT(log_json), 0, 0,
     "Write messages as JSON, one object a line, with time, level, command and message."},
    {EVERY | EXPORT, 'h', "help", NULL, OPTION_FLAG, AT(help), 0, 0, "Show this help."},
    {EVERY | EXPORT, 0, "version", NULL, OPTION_FLAG, AT(version), 0, 0, "Show the version."},
};
const size_t option_table_size = sizeof option_table / sizeof option_table[0];

static const char *const screen_examples[] = {
    "The hits of a MEDLINE file, one JSON object a line:",
    "adesieve screen medline.xml.gz > hits.jsonl",
    "A folder of files into a table that appears when it is complete:",
    "adesieve screen -f tsv -o hits.tsv --stats stats.json medline/",
    "Day after day: only what is new is screened, and a run that was killed goes on:",
    "adesieve screen --state medline.sqlite --output-dir hits medline/",
    "One row a record, with what a reviewer needs of it:",
    "adesieve screen --document --metadata -o documents.csv medline/",
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
static const char *const evaluate_examples[] = {
    "What the default model is worth on a test file with the columns text and label:",
    "adesieve evaluate test.csv",
    "Leaving aside what it was trained on, and listing the errors:",
    "adesieve evaluate --seen train.csv --errors errors.csv test.csv",
    "Two models side by side, as Markdown:",
    "adesieve evaluate -m models/tfidf-logreg -m models/adesieve-minilm -f markdown test.csv",
    NULL};
static const char *const calibrate_examples[] = {
    "From validation texts that the model was not trained on:",
    "adesieve calibrate -m biobert --seen train.csv val.csv",
    "Then, the sentences among which 95 of 100 positive ones are:",
    "adesieve screen -m biobert --threshold recall=0.95 medline.xml.gz",
    NULL};
static const char *const tokenize_examples[] = {
    "What the model sees of a sentence:", "echo 'Rash after amoxicillin.' | adesieve tokenize",
    "Every text of a table, written to a file:",
    "adesieve tokenize --text-field sentence -o tokens.jsonl sentences.csv", NULL};
static const char *const export_examples[] = {
    "What a store holds, and how it was made:",
    "adesieve export --summary medline.sqlite",
    "One row a record, for a spreadsheet:",
    "adesieve export --document --metadata -o records.csv medline.sqlite",
    "For a screening tool (ASReview, Rayyan) or reference manager, the likeliest 1000 first:",
    "adesieve export --limit 1000 -o review.ris medline.sqlite",
    "For annotators, only what is rather certain:",
    "adesieve export -f brat --threshold 0.9 --output-dir brat-project medline.sqlite",
    "For PubAnnotation, which takes JSON Lines:",
    "adesieve export -f pubannotation -o annotations.jsonl medline.sqlite",
    NULL};
static const char *const info_examples[] = {
    "Versions, devices and the default model:", "adesieve info",
    "What a model folder is, and what it will run as, for a program:", "adesieve info -m biobert -f json", NULL};

static const char *const bench_examples[] = {
    "How fast the default model is here, and where the time goes:",
    "adesieve bench",
    "What int8 gains on texts of one's own, on one thread:",
    "adesieve bench --precision int8 --threads 1 sentences.txt",
    "Another model for three seconds, for a program:",
    "adesieve bench -m biobert --seconds 3 -f json",
    NULL};

const command_entry command_table[N_COMMANDS] = {
    [COMMAND_SCREEN] =
        {"screen", "find the adverse drug effects in MEDLINE/PubMed XML", "adesieve screen [OPTIONS] FILE...",
         "Reads MEDLINE/PubMed XML, plain or gzip, from files or from all such files of a folder; - is standard "
         "input. Files are taken in the order of year and number in their names (pubmed26n1334: 26, 1334), whatever the "
         "order given; folders are not searched recursively. Writes one row for each sentence whose score reaches the "
         "threshold, in the order of files, records and sentences, and says at the end what was read.\n"
         "A row holds pmid, version, part (title or abstract), section, sentence (counted from 0 through the record), "
         "start and end (in code points, within the text of that part or section), text, label, score, truncated and "
         "source (the file). A deleted record gives a row that says so.\n"
         "A row of --document holds pmid, version, score (the highest), noisy_or (1 - the product of 1 - score over "
         "its sentences), hits, sentences, where the best sentence is and its text, and source. --metadata adds date, "
         "journal, doi, languages, publication_types, retracted, mesh_adverse_effects, mesh_chemically_induced, mesh "
         "and chemicals. Lists are JSON arrays; in TSV and CSV their items are separated by '|', and a '|' or '\\' in "
         "an item has a '\\' before it.\n"
         "With --state, --output holds the rows of this run, and of an interrupted one that it goes on with; the same "
         "command goes on. Inputs that were done before give no rows again: a file of an earlier run that --output "
         "names is replaced without theirs, and stays as it is when no input is new. 'adesieve export' writes what "
         "the store holds.",
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
                          "holds label, score and text. --calibrated adds calibrated behind the score, --threshold "
                          "adds hit.",
                          classify_examples},
    [COMMAND_EVALUATE] =
        {"evaluate", "measure models on labelled texts", "adesieve evaluate [OPTIONS] FILE...",
         "Reads texts with labels: the columns text and label of a CSV or TSV file, or these fields of JSON Lines. A label "
         "is one of the model's (in any case of letters), or its number. Writes accuracy, precision, recall and F1 of "
         "each label and their means over the labels that occur, with 95 % intervals, the confusion matrix, AUROC, "
         "average precision, Brier score and expected calibration error (15 bins of equal width), and the precision to "
         "expect where positive texts are rarer. Several models are compared by McNemar's test; a baseline among them "
         "runs on the CPU in f64, whatever --device and --precision say.",
         evaluate_examples},
    [COMMAND_CALIBRATE] =
        {"calibrate", "fit a model's calibration and operating points", "adesieve calibrate [OPTIONS] FILE...",
         "Reads texts with labels, as evaluate does, that the model was not trained on. Writes calibration.json into the "
         "model's folder, or to --output: how to turn its scores into probabilities, and what each threshold finds. The "
         "weights are not touched. Shows what the calibration changed, and thresholds for wanted recalls, precisions "
         "and shares to review, each with its interval.",
         calibrate_examples},
    [COMMAND_TOKENIZE] = {"tokenize", "show the tokens that the model sees", "adesieve tokenize [OPTIONS] [FILE...]",
                          "Reads texts as classify does. Writes one JSON object for each: ids, tokens, offsets (start "
                          "and end in code points of "
                          "the text) and truncated.",
                          tokenize_examples},
    [COMMAND_EXPORT] =
        {"export", "write the hits or records of a store in other formats", "adesieve export [OPTIONS] STORE",
         "Reads a store that 'adesieve screen --state' has made; a run must not have it open. No model is needed.\n"
         "jsonl, tsv and csv are the rows of screen: one a hit, or with --document one a record. pubannotation is one "
         "JSON object a record and line, with the text (the title, then each section on a line of its own, with its "
         "label), a denotation for each hit, and its score as an attribute. brat is a folder with PMID.txt and "
         "PMID.ann for each record, the score as a note, and annotation.conf. Both count code points. ris has one "
         "reference a record, with abstract, publication types and MeSH headings as keywords, and notes that hold the "
         "score, the number of hits and the best sentence; authors it has none. csv is UTF-8 without a byte-order "
         "mark: import it into a spreadsheet as UTF-8 text.\n"
         "pubannotation, brat and ris need the texts, which a store made with 'screen --no-store-text' does not keep.",
         export_examples},
    [COMMAND_INFO] = {"info", "show versions, devices, what a model is and what it will run as",
                      "adesieve info [OPTIONS]",
                      "Shows versions, the device and why it was chosen, and the model: labels, sizes, tokenizer, "
                      "whether it lower-cases texts "
                      "and why, and its hash.",
                      info_examples},
    [COMMAND_BENCH] =
        {"bench", "measure how fast a model is here, and where the time goes", "adesieve bench [OPTIONS] [FILE...]",
         "Classifies texts again and again, by default for ten seconds, and shows tokens and texts a second, how long one "
         "text alone takes (half, and 99 of 100 calls), and the seconds of each stage, added up over all threads: "
         "tokenizing; encoding, and of this the matrix products, attention, elementwise steps (embeddings, biases, "
         "activation, residuals, normalization), waiting for threads that share a batch, and the rest; and idle threads. "
         "Then the matrix products are timed alone: the share of the limit is what they would take of the encoding's time.\n"
         "Texts come from FILE, as for classify (the first 65,536 or 64 MiB). Without FILE, 4,096 texts are made by chance of the "
         "model's vocabulary, always the same ones, as long as sentences of MEDLINE are. On a GPU the stages of encoding "
         "are not known, and a baseline has but one. --format json writes one object.",
         bench_examples},
};
