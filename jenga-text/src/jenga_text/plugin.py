"""What jenga-text registers, as the plugin `text`. Imports `jenga_core.api` and nothing else."""

from jenga_core.api import BackboneSpec, CommandSpec, ExampleSpec, ProcessorSpec, SourceSpec, TaskSpec, hookimpl

TOKENS = frozenset({"tokens"})


@hookimpl
def jenga_register_sources() -> list[SourceSpec]:
    return [
        SourceSpec(
            name="conll",
            factory="jenga_text.conll:ConllSource",
            config="jenga_text.ner_config:ConllConfig",
            suffixes=(".conll", ".bio", ".iob"),
            summary="CoNLL files: a word and its tag a line, a blank line after a sentence (IOB1, IOB2, BIOES, BILOU)",
        ),
        SourceSpec(
            name="squad",
            factory="jenga_text.squad:SquadSource",
            config="jenga_text.qa_config:SquadConfig",
            summary="SQuAD's JSON, version 1 and 2: a row for each question",
        ),
    ]


@hookimpl
def jenga_register_processors() -> list[ProcessorSpec]:
    return [
        ProcessorSpec(
            name="tokenizer",
            factory="jenga_text.processors:TokenizerProcessor",
            config="jenga_text.config:TokenizerConfig",
            emits="tokens",
            summary="Columns of text through any Hugging Face fast tokenizer",
        ),
        ProcessorSpec(
            name="train-bpe",
            factory="jenga_text.processors:TrainBpeProcessor",
            config="jenga_text.config:TrainBpeConfig",
            emits="tokens",
            summary="Columns of text through a byte-level BPE tokenizer that is trained on the training rows",
        ),
        ProcessorSpec(
            name="words",
            factory="jenga_text.words:WordsProcessor",
            config="jenga_text.word_config:WordsConfig",
            emits="spelled-words",
            summary="Columns of text as words with their spelling, for small networks without a checkpoint",
        ),
    ]


@hookimpl
def jenga_register_backbones() -> list[BackboneSpec]:
    return [
        BackboneSpec(
            name="transformer",
            factory="jenga_text.transformer:Transformer",
            config="jenga_text.config:TransformerConfig",
            accepts=TOKENS,
            summary="Any encoder that transformers' AutoModel loads, pretrained or with new weights",
        ),
        BackboneSpec(
            name="recurrent",
            factory="jenga_text.recurrent:Recurrent",
            config="jenga_text.word_config:RecurrentConfig",
            accepts=frozenset({"spelled-words"}),
            summary="A small LSTM in both directions over words, from scratch",
        ),
        BackboneSpec(
            name="conv",
            factory="jenga_text.conv:Conv",
            config="jenga_text.config:ConvConfig",
            accepts=TOKENS,
            summary="A small, fast encoder of convolutions with new weights, for CPUs",
        ),
    ]


@hookimpl
def jenga_register_tasks() -> list[TaskSpec]:
    return [
        TaskSpec(
            name="ner",
            factory="jenga_text.ner:NerTask",
            config="jenga_text.ner_config:NerConfig",
            needs=frozenset({"tokens"}),
            summary="Named entities or slots: spans of characters with a label, judged strictly",
        ),
        TaskSpec(
            name="span-qa",
            factory="jenga_text.span_qa:SpanQaTask",
            config="jenga_text.qa_config:SpanQaConfig",
            needs=frozenset({"tokens"}),
            summary="Questions answered by a piece of the context, or by nothing (SQuAD; exact match and F1)",
        ),
        TaskSpec(
            name="scoring",
            factory="jenga_text.scoring:ScoringTask",
            config="jenga_text.scoring_config:ScoringConfig",
            summary="Several named heads with named yes-or-no outputs, verdicts and a final score: the QA auditor",
        ),
    ]


@hookimpl
def jenga_register_commands() -> list[CommandSpec]:
    return [
        CommandSpec(
            name="migrate",
            factory="jenga_text.migrate.command:migrate_app",
            summary="Write a configuration of Jenga-AI, the predecessor, as one of Jenga.",
        ),
    ]


@hookimpl
def jenga_register_examples() -> list[ExampleSpec]:
    return [
        ExampleSpec(
            name="sentiment",
            factory="jenga_text.examples.sentiment:write",
            summary="Negative, neutral or positive: synthetic messages in Swahili and English",
        ),
        ExampleSpec(
            name="ner",
            factory="jenga_text.examples.ner:write",
            summary="People, places, organisations and dates in synthetic Swahili and Kenyan sentences",
        ),
        ExampleSpec(
            name="qa-auditor",
            factory="jenga_text.examples.qa_auditor:write",
            summary="Synthetic calls to a help line, scored by 6 heads with 17 outputs: PASS, REVIEW or FAIL",
        ),
        ExampleSpec(
            name="multitask",
            factory="jenga_text.examples.multitask:write",
            summary="Threats and names in synthetic reports: two tasks in one model",
        ),
        ExampleSpec(
            name="phishing-email",
            factory="jenga_text.examples.phishing_email:write",
            summary="Phishing in synthetic e-mails: subject and body as two columns",
        ),
    ]
