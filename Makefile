# gq: `make` builds the five tools and libgq; `make demo`, `make test` are the README's commands; `make help` lists the rest.
# No source file is listed by hand: folders are globbed, and the registries (architectures, codes, grids, kernel variants) come from file names.
# CMakeLists.txt holds the same targets by the same globs.

BUILD   ?= build
MODULES ?= formats core/base core/packing core/kernels core/linalg core/model core/quantize core/text core/runtime core/api cpu_simd
TESTS   ?= $(patsubst tests/%/,%,$(sort $(dir $(wildcard tests/*/test_*.cpp))))
TOOLS   := quantize run perplexity bench inspect
PREFIX  ?= /usr/local

CXX      ?= g++
CC       ?= gcc
AR       ?= ar
# The instruction sets of a machine, as cpu_simd's file names end.
MACHINE      := $(patsubst amd64,x86_64,$(patsubst arm64,aarch64,$(firstword $(subst -, ,$(shell $(CXX) -dumpmachine)))))
ISAS_x86_64  := avx2 avxvnni avx512
ISAS_aarch64 := neon i8mm
FOREIGN      := $(addprefix %_,$(addsuffix .cpp,$(filter-out $(ISAS_$(MACHINE)),$(ISAS_x86_64) $(ISAS_aarch64))))
# Arithmetic at -O3, whose unrolling keeps the kernels' tiles in registers; what every token or byte of text goes through at
# -O2; what runs once at -O1, which compiles fast. Tests take longer to compile than to run and are not optimized, but for
# those that compute references.
OPT      ?= $(if $(filter $(HOT),$<),-O3,$(if $(filter $(WARM),$<),-O2,-O1))
HOT      := core/packing/% core/kernels/% core/linalg/% cpu_simd/% apps/scoring.% \
            $(addprefix core/quantize/,gptq% grid_search% hessian% backward% window_attention% distill% head_divergence% adam% trained_grids%) \
            $(addprefix formats/,element_type.% gguf_blocks.% hash.%) $(wildcard tests/*/bench_*.cpp)
WARM     := core/base/% core/runtime/% $(foreach f,added_tokens bpe char_set decoder normalizer pre_tokenizer regex tokenizer \
            stream_decoder unicode vocabulary,core/text/$(f).%)
REFERENCE := tests/kernels/% tests/linalg/% $(addprefix tests/quantize/test_,gptq% grid% backward%)
DEBUG    ?=
SANITIZE ?=
SANITIZE_HOT ?=
# GCC 12 sees overlapping and overlong copies inside its own std::string (its bugs 105651, 105329).
WARN     := -Wall -Wextra -Werror $(if $(findstring clang,$(CXX)),,-Wno-restrict -Wno-array-bounds -Wno-stringop-overflow)
# A section a function, so that a program leaves out what it does not call.
COMMON    = $(OPT) $(DEBUG) -ffp-contract=off -fPIC -fvisibility=hidden -ffunction-sections -fdata-sections $(WARN) -I. -I$(BUILD) $(SANITIZE) \
            $(if $(filter $(HOT),$<),$(SANITIZE_HOT))
CXXFLAGS += -std=c++20 $(COMMON)
CFLAGS   += -std=c99 -pedantic $(COMMON)
LDLIBS   += -pthread
LDFLAGS  += -Wl,--gc-sections $(SANITIZE)

LIB_SRC  := $(filter-out $(FOREIGN),$(sort $(foreach m,$(MODULES),$(wildcard $(m)/*.cpp))))
LIB_OBJ  := $(LIB_SRC:%.cpp=$(BUILD)/%.o)
CLI_OBJ  := $(patsubst %.cpp,$(BUILD)/%.o,$(filter-out $(TOOLS:%=apps/%.cpp),$(wildcard apps/*.cpp)))
TEST_SRC := $(wildcard tests/*.cpp) $(foreach t,$(TESTS),$(wildcard tests/$(t)/test_*.cpp))
TEST_OBJ := $(TEST_SRC:%.cpp=$(BUILD)/%.o)

.PHONY: all tools $(filter-out bench,$(TOOLS)) lib tests test demo bench instructions asan tsan fuzz format format-check lint install clean help
.DEFAULT_GOAL := all
all: tools lib
lib: libgq.a libgq.so
tests: $(BUILD)/unit_tests

# --- registries: one macro call per file, written only when the list changes -------------------------------------------------------
registered = $(foreach f,$(filter $(1),$(LIB_SRC)),$(2)($(basename $(notdir $(f)))))
define REGISTRY
// Written by the build from file names; included by the registries with one of the macros defined.
#ifdef GQ_ARCH
$(call registered,core/model/arch_%.cpp,GQ_ARCH)
#endif
#ifdef GQ_CODES
$(call registered,core/packing/codes_%.cpp,GQ_CODES)
#endif
#ifdef GQ_GRID
$(call registered,core/packing/grid_%.cpp,GQ_GRID)
#endif
#ifdef GQ_KV_TYPE
$(call registered,core/kernels/kv_%.cpp,GQ_KV_TYPE)
#endif
#ifdef GQ_VARIANT
$(call registered,cpu_simd/%.cpp,GQ_VARIANT)
#endif
endef
$(shell mkdir -p $(BUILD))
ifneq ($(strip $(file <$(BUILD)/registry.inc)),$(strip $(REGISTRY)))
$(file >$(BUILD)/registry.inc,$(REGISTRY))
endif

# --- objects, libraries, tools -----------------------------------------------------------------------------------------------------
# The standard headers, the kernels' intrinsics and the tests' doctest are read from precompiled headers; every file still
# includes what it uses, which builds with PRECOMPILED= and by CMake check.
PRECOMPILED := yes
SIMD_OBJ := $(filter $(BUILD)/cpu_simd/%,$(LIB_OBJ))
COLD_OBJ := $(filter-out $(SIMD_OBJ),$(LIB_OBJ) $(CLI_OBJ) $(TOOLS:%=$(BUILD)/apps/%.o))
PLAIN_OBJ := $(filter-out $(addprefix $(BUILD)/,$(REFERENCE)),$(TEST_OBJ))
DOCTEST_OBJ := $(filter-out $(BUILD)/tests/main.o,$(PLAIN_OBJ))
$(PLAIN_OBJ) $(BUILD)/tests/precompiled.h.gch: override OPT := -O0
ifneq ($(PRECOMPILED),)
$(COLD_OBJ): PCH := -include $(BUILD)/core/base/std.h
$(COLD_OBJ): $(BUILD)/core/base/std.h.gch
$(SIMD_OBJ): PCH := -include $(BUILD)/cpu_simd/intrinsics.h
$(SIMD_OBJ): $(BUILD)/cpu_simd/intrinsics.h.gch
$(DOCTEST_OBJ): PCH := -include $(BUILD)/tests/precompiled.h
$(DOCTEST_OBJ): $(BUILD)/tests/precompiled.h.gch
$(BUILD)/%.h.gch: %.h
	@mkdir -p $(@D)
	@cp $< $(BUILD)/$<
	$(CXX) $(CXXFLAGS) -x c++-header $(BUILD)/$< -o $@
endif
$(BUILD)/%.o: %.cpp
	@mkdir -p $(@D)
	$(CXX) $(CXXFLAGS) $(PCH) -MMD -MP -c $< -o $@
$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/libgq.a: $(LIB_OBJ)
	@rm -f $@
	@$(AR) rcs $@ $^
libgq.a: $(BUILD)/libgq.a
	cp $< $@
libgq.so: $(LIB_OBJ) core/api/exports.map
	$(CXX) -shared -Wl,-soname,libgq.so.0 -Wl,--version-script=core/api/exports.map $(LDFLAGS) $(LIB_OBJ) -o $@ $(LDLIBS)

# The tools stand at the root; they are linked in the build folder, since `make bench` means to measure.
$(TOOLS:%=$(BUILD)/apps/%): %: %.o $(CLI_OBJ) $(BUILD)/libgq.a
	$(CXX) $(LDFLAGS) $^ -o $@ $(LDLIBS)
tools: $(TOOLS:%=$(BUILD)/apps/%)
	@for tool in $^; do cmp -s $$tool $${tool##*/} || { rm -f $${tool##*/} && cp -p $$tool .; }; done
$(filter-out bench,$(TOOLS)): tools

$(BUILD)/unit_tests: $(TEST_OBJ) $(if $(filter apps,$(TESTS)),$(CLI_OBJ)) $(BUILD)/libgq.a
	$(CXX) $(LDFLAGS) $^ -o $@ $(LDLIBS)

# --- what users type ---------------------------------------------------------------------------------------------------------------
# All cores build, unless somebody said how many.
IN_PARALLEL = $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(shell getconf _NPROCESSORS_ONLN))
NEEDED := g++:g++ python3:python3 pip?pip:python3-pip
# Installs what it lacks, builds, fetches a model, quantizes it and asks it.
demo:
	sh tests/need.sh $(NEEDED)
	$(MAKE) $(IN_PARALLEL) tools
	sh apps/demo/demo.sh

# Installs what it lacks, then runs every test that this machine can run, and says which it skips.
test:
	sh tests/need.sh $(NEEDED) /usr/include/doctest/doctest.h:doctest-dev python3-numpy?numpy:python3-numpy
	$(MAKE) $(IN_PARALLEL) $(BUILD)/unit_tests $(BUILD)/test_c_api tools libgq.so
	$(MAKE) $(IN_PARALLEL) run-tests

# Half of the unit tests' time is the quantizer's: the two halves run at once.
.PHONY: run-tests unit-tests-quantize unit-tests-others
unit-tests-quantize: $(BUILD)/unit_tests
	$(BUILD)/unit_tests -ts=quantize
unit-tests-others: $(BUILD)/unit_tests
	GQ_SMOLLM2_GGUF="$$(sh apps/demo/fetch_smollm2.sh $(BUILD)/smollm2 || true)" $(BUILD)/unit_tests -tse=quantize
run-tests: unit-tests-quantize unit-tests-others $(BUILD)/test_c_api tools libgq.so
	sh tests/check_layers.sh
	sh tests/check_symbols.sh libgq.so
	sh tests/apps/test_tools.sh $(BUILD)/tool_tests
	$(BUILD)/test_c_api tests/golden/tiny_llama_tied $(BUILD)/c_api.gq
	@echo "all tests passed"

$(BUILD)/test_c_api: $(BUILD)/tests/api/test_c_api.o $(BUILD)/libgq.a
	$(CXX) $(LDFLAGS) $^ -o $@ $(LDLIBS)

# Sanitizers have builds of their own. ASan, UBSan and the fuzzers share one, by Clang. UBSan's checks of pointers that ASan
# makes at every access are left out; in arithmetic, where they would be most of the code, those of their sums too.
ASAN_BUILD := CXX=clang++ CC=clang BUILD=$(BUILD)-asan OPT=-O1 DEBUG=-g1 \
    SANITIZE="-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-sanitize=null,object-size,vptr" \
    SANITIZE_HOT="-fno-sanitize=pointer-overflow"
asan:
	$(MAKE) $(ASAN_BUILD) sanitized-tests
tsan:
	$(MAKE) BUILD=$(BUILD)-tsan OPT=-O1 DEBUG=-g1 SANITIZE="-fsanitize=thread" sanitized-tests
.PHONY: sanitized-tests
# Without the longest comparisons of numbers, which `make test` has: nothing is touched there that the others don't touch.
COMPARISONS := *same bits in any batch*,*the same bytes*,*number of threads*,*gives the same bits*,*instruction sets*,*second reader*,$\
    *are their formulas*,*equals elimination*,*joint search comes*,*least squares of their*,*a turn keeps*,*finer grids*,$\
    *slopes of its forward*,*every code point*,multiply_upper*,*random positive definite*,*svd*
.PHONY: sanitized-quantize sanitized-others
sanitized-quantize: $(BUILD)/unit_tests
	$(BUILD)/unit_tests -ts=quantize -tce="$(COMPARISONS)"
sanitized-others: $(BUILD)/unit_tests
	$(BUILD)/unit_tests -tse=quantize -tce="$(COMPARISONS)"
sanitized-tests: sanitized-quantize sanitized-others $(BUILD)/test_c_api $(TOOLS:%=$(BUILD)/apps/%.o)
	$(BUILD)/test_c_api tests/golden/tiny_llama_tied $(BUILD)/c_api.gq

# Every parser under libFuzzer (Clang), FUZZ_SECONDS each, starting from the corpora in the tree.
FUZZ_SECONDS ?= 60
FUZZERS := $(patsubst tests/fuzz/%.cpp,%,$(wildcard tests/fuzz/fuzz_*.cpp))
fuzz:
	$(MAKE) $(ASAN_BUILD) FUZZ_SECONDS=$(FUZZ_SECONDS) run-fuzzers
.PHONY: run-fuzzers
run-fuzzers: $(FUZZERS:%=$(BUILD)/%)
	sh tests/fuzz/run.sh $(BUILD) $(FUZZ_SECONDS) $(FUZZERS)
$(BUILD)/fuzz_%: $(BUILD)/tests/fuzz/fuzz_%.o $(BUILD)/libgq.a
	$(CXX) -fsanitize=fuzzer $(LDFLAGS) $^ -o $@ $(LDLIBS)

# Benchmarks of the parts, then of the demo's model where there is one. Not tests: they print, and assert nothing.
BENCHES := $(patsubst tests/%.cpp,$(BUILD)/tests/%,$(wildcard tests/*/bench_*.cpp))
bench: tools $(BENCHES)
	for part in $(BENCHES); do $$part || exit 1; done
	@if ls demo/*.gq >/dev/null 2>&1; then for model in demo/*.gq; do ./bench $$model; done; else echo "no model: make demo makes one"; fi
$(BENCHES): %: %.o $(BUILD)/libgq.a
	$(CXX) $(LDFLAGS) $^ -o $@ $(LDLIBS)

# Instructions of the kernels, counted and held against a table; by debugger: linked with -static -no-pie.
COUNT_BY ?= callgrind traps_avxvnni traps
instructions: $(BUILD)/instructions
	for way in $(COUNT_BY); do python3 tests/kernels/check_instructions.py $< $$way $(WRITE) || exit 1; done
$(BUILD)/instructions: $(BUILD)/tests/kernels/instructions.o $(BUILD)/libgq.a
	$(CXX) $(LDFLAGS) $^ -o $@ $(LDLIBS)

OWN_CODE := $(shell find apps core cpu_simd formats tests \( -name '*.cpp' -o -name '*.h' -o -name '*.c' \) 2>/dev/null | sort)
format:
	clang-format -i $(OWN_CODE)
format-check:
	clang-format --dry-run --Werror $(OWN_CODE)
lint: $(BUILD)/registry.inc
	clang-tidy --quiet $(LIB_SRC) $(wildcard apps/*.cpp) -- -std=c++20 -I. -I$(BUILD)

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib $(DESTDIR)$(PREFIX)/include
	for t in $(TOOLS); do install -m 755 $(BUILD)/apps/$$t $(DESTDIR)$(PREFIX)/bin/gq-$$t; done
	install -m 644 core/api/gq.h $(DESTDIR)$(PREFIX)/include/gq.h
	install -m 644 libgq.a $(DESTDIR)$(PREFIX)/lib/libgq.a
	install -m 755 libgq.so $(DESTDIR)$(PREFIX)/lib/libgq.so.0
	ln -sf libgq.so.0 $(DESTDIR)$(PREFIX)/lib/libgq.so

help:
	@echo "make            the tools ($(TOOLS)) and libgq.a, libgq.so"
	@echo "make demo       fetch SmolLM2-135M-Instruct, quantize it to 4 bits, answer a prompt"
	@echo "make test       every test; installs what it lacks"
	@echo "make bench      benchmarks of the parts and of the demo's model;  make instructions  those of every kernel, against a table"
	@echo "make asan | tsan | fuzz | format | format-check | lint | install | clean"

clean:
	rm -rf $(BUILD) $(BUILD)-asan $(BUILD)-tsan $(TOOLS) libgq.a libgq.so libgq.so.0 demo

-include $(shell find $(BUILD) -name "*.d" 2>/dev/null)
