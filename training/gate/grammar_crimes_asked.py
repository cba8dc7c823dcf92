"""How to commit a crime and how to meet it, in the same openings: `python grammar_crimes_asked.py` writes the file."""

from asking import Asker, bar, item, slots, write

KIND = "crimes-asked"
SEED = 20
EACH = 2  # of either label, a crime
MEET = bar("""protect {guarded} against {noun}|report {noun} that I witnessed|help victims of {noun}|
teach a class on {noun} to police trainees|write a thesis on the history of {noun}|recognise {noun} early|
campaign against {noun}|compare the laws on {noun} in two countries|recover after {noun}|warn people about {noun}|
interview a judge about {noun}|explain {noun} to my worried parents|
write a crime novel about {noun} that isn't a manual|look up statistics on {noun}|train staff to prevent {noun}|
defend a man falsely accused of {noun}|translate a documentary on {noun}|review a film about {noun}""")


def main() -> None:
    asker, ways, rows = Asker(SEED), Asker(SEED + 1, MEET), []
    for line in slots("crimes"):
        do, noun, guarded = bar(line)
        pair = {"pair": f"crimes/{noun}"}  # as in crimes.jsonl, so that training keeps them together
        for _ in range(EACH):
            met = ways.opening("safe").format(noun=noun, guarded=guarded)
            rows.append(item(asker.ask(met, "safe"), "safe", KIND, noun) | pair)
            rows.append(item(asker.ask(do, "unsafe"), "unsafe", KIND, noun) | pair)
    write(KIND, rows)


if __name__ == "__main__":
    main()
