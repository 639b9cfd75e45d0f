"""The words that the keyphrase tagger knows: verbs that ask for something, and words that name nothing."""

from __future__ import annotations

import re

__all__ = ["ACTIONS", "AMBIGUOUS", "BOILERPLATE", "BOUNDARIES", "COMMON", "CUES", "MODIFIERS", "QUANTITIES", "VERBS"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# The verb that a group is counted as, the coarse intention it stands for ("": none of its own), and the group.
_ACTION_GROUPS = """
classify:   classification:     classify categorize categorise label tag assign grade rate
judge:      classification:     judge determine decide check verify assess tell evaluate distinguish
route:      routing:            route triage forward
detect:     detection:          detect spot flag recognize recognise
identify:   identification:     identify locate find
extract:    extraction:         extract retrieve pull collect
generate:   generation:         generate write create construct compose produce craft draft formulate make design
answer:     :                   answer respond reply
summarize:  summarization:      summarize summarise condense shorten
translate:  translation:        translate
paraphrase: paraphrasing:       paraphrase rephrase reword
rewrite:    rewriting:          rewrite modify change edit transform alter reformulate simplify perturb adapt
correct:    correction:         correct fix repair debug improve
convert:    conversion:         convert format express render
complete:   completion:         complete continue fill finish extend
predict:    prediction:         predict guess infer estimate
explain:    explanation:        explain justify describe clarify elaborate
choose:     selection:          choose select pick
compare:    comparison:         compare match relate
count:      counting:           count
calculate:  calculation:        calculate compute solve add subtract multiply divide sum
sort:       ordering:           sort order rank arrange reverse rearrange swap shuffle
replace:    replacement:        replace substitute
redact:     redaction:          redact mask anonymize anonymise
remove:     removal:            remove delete filter strip
split:      splitting:          split separate segment decompose break
combine:    combination:        combine merge join concatenate insert
plan:       planning:           plan schedule organize organise
recommend:  recommendation:     recommend suggest propose
execute:    program execution:  execute run implement perform
list:       listing:            list enumerate name
return:     :                   return output print give provide report state mention indicate show
"""
# Verb in base form -> the verb of its group and the group's intention.
ACTIONS: dict[str, tuple[str, str]] = {
    word: (verb.strip(), intention.strip())
    for verb, intention, words in (line.split(":") for line in _ACTION_GROUPS.strip().split("\n"))
    for word in words.split()
}

# Actions that are as often nouns or adjectives: commands only where a command can stand.
AMBIGUOUS = _words(
    """add answer assess assign break change check collect compare complete compose continue correct count create debug
    describe design draft edit estimate express fill filter find finish fix flag format forward give grade guess
    improve indicate join judge label list locate make mask match mention name order output perturb pick plan print
    provide pull rank rate relate repair replace reply report return reverse route run schedule segment separate show
    sort split spot state strip sum swap tag tell triage write"""
)

# What shows an intention whatever the verb; searched in the sentence in lower case, quoted labels included. Before each
# pattern stand texts of which at least one is in all that it matches: where none is, it need not be tried.
CUES: tuple[tuple[tuple[str, ...], re.Pattern[str], str], ...] = tuple(
    (tuple(hints.split("|")), re.compile(pattern), intention)
    for intention, hints, pattern in (
        (
            "classification",
            "classif|into ",
            r"\bclassif(?:y|ied|ication)\b|\binto (?:\w+ ){0,3}(?:categories|classes|types|labels)\b",
        ),
        ("classification", "label", r"\bgive (?:\w+ )?labels?\b|\blabel (?:it|them|the|these|this|each|as)\b"),
        (
            "binary choice",
            "yes|true|positive|valid",
            r"\b(?:yes|true|positive|valid)\W{1,4}(?:or|and)\W{1,4}(?:no|false|negative|invalid)\b",
        ),
        (
            "binary choice",
            "otherwise|else|if not",
            r"\b(?:true|yes|no|false|not)\b.{1,60}\b(?:otherwise|else|if not)\b",
        ),
        (
            "multiple choice",
            "choice|option",
            r"\bmultiple[- ]choice\b|\b(?:correct|best|right|possible|answer) (?:option|choice)s?\b",
        ),
        ("fill in the blank", "blank|missing|_", r"\bblanks?\b|\bmissing (?:word|token|part)s?\b|(?<=\s)_{1,}(?=\s)"),
        (
            "sentiment analysis",
            "sentiment|positive|negative",
            r"\bsentiment|\b(?:positive|negative)\b.{1,30}\b(?:review|opinion|feeling|attitude)",
        ),
        ("summarization", "summar|headline", r"\bsummar(?:y|ies|ize|ise|ization)\b|\bheadline\b"),
        ("paraphrasing", "paraphras", r"\bparaphras"),
        (
            "natural language inference",
            "entail|hypothes|contradict",
            r"\bentail|\bpremise\b.*\bhypothes|\bhypothes.*\bpremise\b|\bcontradict",
        ),
        ("coreference resolution", "pronoun|coreferen", r"\bpronouns?\b.{0,80}\brefer|\bcoreferen"),
        ("commonsense reasoning", "common", r"\bcommon ?sense\b"),
        ("analogy", "analog", r"\banalog(?:y|ies)\b"),
        ("stereotype detection", "stereotyp", r"\bstereotyp"),
        (
            "toxic language detection",
            "toxic|hate|offensive|abusive",
            r"\btoxic|\bhate\b|\boffensive\b|\babusive\b|\bhateful\b",
        ),
        ("grammaticality", "gramma", r"\bgrammatical|\bgrammar\b"),
        ("dialogue", "dialog|conversation|utterance", r"\bdialog(?:ue)?s?\b|\bconversations?\b|\butterances?\b"),
        ("entity recognition", "entit", r"\bnamed entit|\bentities\b"),
        ("question answering", "question", r"\bquestion[- ]answering\b|\banswer(?:ing)? (?:\w+ ){1,4}questions?\b"),
        (
            "question generation",
            "question",
            r"\b(?:generate|write|create|construct|come up with) (?:\w+ ){0,4}questions?\b",
        ),
        ("story understanding", "story|stories|narrative", r"\bstory|\bstories\b|\bnarrative"),
        (
            "code",
            "sql|python|source code|program|javascript|bash",
            r"\bsql\b|\bpython\b|\bsource code\b|\bprogram(?:ming)?\b|\bjavascript\b|\bbash\b",
        ),
        ("translation", "translat", r"\btranslat"),
    )
)

# Function words, pronouns and the like: a noun phrase ends before them.
BOUNDARIES = _words(
    """a about above according across after again against all almost along already also although always am among amongst
    an and another any anyone anything are aren around as aside at away back based be because been before behind being
    below beneath besides between beyond both but by can cannot could d did didn do does doesn doing don done down due
    during each either else enough etc even ever every everyone everything except few for from further had has have
    having he hence her here hers herself him himself his how however i if in inside instead into is isn it its itself
    just least let like ll many may maybe me might more most much must my myself near neither never no nor not nothing
    now of off often on once only onto or other others otherwise ought our ours out outside over own per perhaps
    please quite rather re really regarding respectively s same several shall she should since so some someone
    something somewhat somewhere still such t than that the their theirs them themselves then there thereby therefore
    these they this those though through throughout thus till to together too toward towards twice under unless unlike
    until up upon us usually ve very via was wasn we well were weren what whatever when whenever where whereas
    wherever whether which whichever while who whoever whom whose why will with within without won would yet you your
    yours yourself one two three four five six seven eight nine ten first second third fourth fifth last yes true
    false ok okay eg ie vs want need ask able likely possible sure concerning including excluding following use put
    thing apart wihout"""
)

# Common verbs that are seldom nouns; a noun phrase ends before them too.
VERBS = _words(
    """accompany accord agree allow answer appear apply ask associate assume avoid base become begin believe belong
    bring call carry choose clarify classify come comprise confuse connect consider consist contain contradict convey
    correspond cover create decide define denote depend derive describe determine differ disagree discuss draw enclose
    encounter encourage end ensure entail enter exist expand expect explain express fall feel follow generate get give
    go happen help highlight hold identify ignore illustrate imply include indicate infer introduce involve keep know
    lead leave let lie live look make mark mean mention miss need note obtain occur oppose pertain post precede
    predict present preserve provide read refer relate rely remain replace represent require respect respond retain
    return satisfy say see seem select share show speak start stay stick strengthen support suppose surround take talk
    tell think treat try understand use utilize want weaken write"""
)

# Words about the form of a request rather than its matter: alone they are no tag.
BOILERPLATE = _words(
    """answer apart author basis beginning bit body case category choice class content criterion definition description
    detail element end example explanation fact following form format goal group hand idea information input instance
    instruction item job judgement judgment kind knowledge label line middle name note number object objective option
    order output part person piece place point position purpose reason reply respective response rest result sense set
    side situation someone sort start step subject task term thing time type value way"""
)

# Matter, but matter that half of all instructions are about: it counts for less.
COMMON = _words(
    """character context data document english entity event language letter list pair paragraph passage people phrase
    question sentence statement symbol text title word"""
)

# "The number of vowels" is about vowels.
QUANTITIES = _words("form group kind list name number one pair part piece sequence set type")

# Words that qualify without naming: dropped at the ends of a phrase, and never a tag of their own.
MODIFIERS = _words(
    """accurate actual additional alternative ambiguous appropriate available bad best better big brief certain clear
    close common complete complex concise consistent correct corresponding creative current definitive different
    difficult distinct easy entire equal exact explicit extra false final full funny general generic good grammatical
    great happy identical important improper inappropriate incorrect independent individual interesting invalid
    irrelevant key large late left less little logical long low lower main major minimal minor multiple necessary
    negative neutral new next nonsensical numerical old optional original overall own particular plain plausible
    positive potential previous proper real reasonable relevant resultant right said scarce semantic separate short
    similar simple single small special specific standard total true typical unimportant unique unknown unrelated
    upper useful usual vague valid various whole wrong"""
)
