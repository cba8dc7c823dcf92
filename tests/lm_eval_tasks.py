"""Three small lm-eval tasks in a folder: multiple choice, generation, and text to predict."""

import json

QUESTIONS = [
    ("What is the capital of France?", ["Paris", "a small town in the north", "Rome"], 0),
    ("What is 2 + 2?", ["twenty-two", "four", "five or six"], 1),
    ("Which of these is a colour?", ["Tuesday", "loud", "a deep blue"], 2),
    ("Is water wet, would you say?", ["yes", "no", "only at sea"], 0),
    ("What do bees make?", ["bread", "honey", "clay"], 1),
]
SUMS = [("Ann has 2 apples and gets 3. How many?", "5"), ("Half of 8 is", "4"), ("Say ten in digits.", "10")]
TEXTS = ["The sea is blue, and so is the sky.", "One two three four five.", "Löwen 🦁 brüllen – laut. " * 3]

_COMMON = """task: {name}
dataset_path: json
dataset_kwargs:
  data_files: {{test: {file}, train: {file}}}
  cache_dir: {cache}
test_split: test
"""
_CHOICE = """fewshot_split: train
fewshot_config: {sampler: first_n}
output_type: multiple_choice
doc_to_text: "Question: {{question}}\\nAnswer:"
doc_to_choice: "{{choices}}"
doc_to_target: answer
metric_list: [{metric: acc}, {metric: acc_norm}]
"""
_LETTER = """output_type: multiple_choice
doc_to_text: "{{question}}\\nA. {{choices[0]}}\\nB. {{choices[1]}}\\nC. {{choices[2]}}\\nAnswer:"
doc_to_choice: ["A", "B", "C"]
doc_to_target: answer
metric_list: [{metric: acc}]
"""
_GENERATE = """output_type: generate_until
doc_to_text: "{{question}}"
doc_to_target: "{{answer}}"
generation_kwargs: {until: ["\\n\\n", " the"], max_gen_toks: 6, do_sample: false}
metric_list: [{metric: exact_match}]
"""
_TEXT = """output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{text}}"
metric_list: [{metric: word_perplexity}, {metric: bits_per_byte}]
"""


def write_tasks(folder):
    """Write the tasks' files, and return the folder."""
    asked = [{"question": q, "choices": c, "answer": a} for q, c, a in QUESTIONS]
    sums = [{"question": q, "answer": a} for q, a in SUMS]
    texts = [{"text": text} for text in TEXTS]
    tasks = {
        "tiny_choice": (_CHOICE, asked),
        "tiny_letter": (_LETTER, asked),
        "tiny_sums": (_GENERATE, sums),
        "tiny_text": (_TEXT, texts),
    }
    for name, (body, rows) in tasks.items():
        file = folder / f"{name}.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        common = _COMMON.format(name=name, file=file, cache=folder / "cache")
        (folder / f"{name}.yaml").write_text(common + body)
    return folder
