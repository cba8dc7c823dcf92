"""English small words, and words that English shares with others: an answer in Latin letters is English until told."""

_ENGLISH = (
    "the of and to a in is it you that he was for on are with as i his they be at one have this from or had by not "
    "but what all were we when your can said there use an each which she do how their if will up other about out many "
    "then them these so some her would make like him into time has look two more write go see no way could my than "
    "first been who its now find down did get come made may me our us any only also after over most must should here "
    "just because don't can't i'm it's that's you're i'll won't i've am where why before too very yes sorry please "
    "cannot help sure let take turn keep small put hi hey oh unable unfortunately thank thanks though know really "
    "give tell got want need call draft create generate list add name explain describe question good day much work "
    "think let's next last "
)
_SHARED = (
    "word man die plus per den pro son par ten ham hoe men dog sin van ton fin dans sur pour mine elles ad et la le "
    "de el los las il da um une un en es se te mi si ni na ne lo ho pan tan gen om med var ut ved fra pa vi du der "
    "des dem ist hat war bis aus dan wat dit op u y o e fi ja je ti tu ta wedi ac li ki nan pou lan ing ora uga data "
    "drama total real final general normal "
)
ENGLISH = frozenset(_ENGLISH.split())
SHARED = ENGLISH | frozenset(_SHARED.split())
"""Words that say nothing for another language: English ones, and those that stand in English answers too."""
