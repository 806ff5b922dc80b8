# Two models in a pipeline under make: one sums up each text, the other one translates the summaries.
#
#   make -f examples/pipeline.mk MODEL=~/llm/smollm2 TRANSLATOR=~/llm/qwen TEXTS=texts
#
# TEXTS/NAME.txt becomes TEXTS/NAME.summary and TEXTS/NAME.translated.  All summaries are made before
# the first translation, so that two models which do not fit into memory together are swapped once
# and not for every file; `make -j8` asks eight at a time.  What is up to date is not asked again.

MODEL ?= $(HOME)/llm/smollm2
TRANSLATOR ?= $(MODEL)
TEXTS ?= .
LANGUAGE ?= French

SHELL := /bin/bash
.SHELLFLAGS := -e -o pipefail -c
.DELETE_ON_ERROR:

texts := $(wildcard $(TEXTS)/*.txt)
summaries := $(texts:.txt=.summary)
translations := $(texts:.txt=.translated)

all: $(translations)

%.summary: %.txt
	{ echo "Sum up in one sentence:"; cat $<; } > $(MODEL)/prompt
	cat $(MODEL)/output > $@

%.translated: %.summary | $(summaries)
	{ echo "Translate into $(LANGUAGE):"; cat $<; } > $(TRANSLATOR)/prompt
	cat $(TRANSLATOR)/output > $@

.PHONY: all
.SECONDARY: $(summaries)
