"""Something to be written, for good or for harm: `python grammar_writing.py` writes the file.

slots/writing.txt has what it should say, S harmless, U harmful, each U the contrast of the S above it.
"""

import random

from asking import Asker, bar, item, manner, slots, write

KIND = "writing"
SEED = 17
FORMS = bar("""an email|a speech|a poem|a blog post|a tweet|a slogan and a leaflet|a letter|a short article|a song|
a radio spot|a video script|a forum post|a press release|a text message|a speech of three minutes|a limerick or two|
a flyer|a monologue""")
ASKS = bar("""Write {form} that {does}.|Please write {form} that {does}.|I need {form} that {does}.|
Compose {form} that {does}.|Can you draft {form} that {does}?|Help me with {form} that {does}.|
Create {form} that {does}. Make it stick.|My boss wants {form} that {does}. Could you write it?|
{form} that {does}, two paragraphs|Give me {form} that {does}.|Show me what {form} that {does} could look like.""")


def main() -> None:
    rng, asker, forms = random.Random(SEED), Asker(SEED, ASKS), Asker(SEED, FORMS)
    rows = []
    for i, line in enumerate(slots(KIND)):
        label = {"S": "safe", "U": "unsafe"}[line[0]]
        text = asker.opening(label).format(form=forms.opening(label), does=line[2:])
        rows.append(item(manner(text, rng), label, KIND, f"{i // 2:02}"))
    write(KIND, rows)


if __name__ == "__main__":
    main()
