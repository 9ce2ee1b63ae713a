# liborch: one plain Makefile, no per-directory ones. Files are found by wildcard: adding a source, a
# test or an example needs no edit here. Everything that is built lies under $(B).
#
# `make check`, `make demo` and the other checks install what they need and then call make again in the
# mode they want, each mode in a folder of its own; so nothing here may run pkg-config while the file is
# read: on a fresh machine there is none yet.

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-print-directory --no-builtin-rules

# ---- What a caller may set ----------------------------------------------------------------------------

B          ?= build
MODE       ?= release# release, check, sim, sim-asan, asan, tsan, coverage, fuzz
V          ?= 0
WERROR     ?= 0
JOBS       ?= $(shell nproc 2>/dev/null || echo 2)
SRC_DIRS   ?= lib# a subset of the floors, to build while another one is in pieces
ROUNDS     ?= 300# of check-crash and check-power
SEEDS      ?= 2000# of check-sim and sim
TIME       ?= 60# seconds of fuzz, for each target
MUTATION_SEEDS ?= 8000# of check-mutations, for each mutation
FROM       ?= 1# the first of them; likewise of the allocations that check-oom fails
EVERY      ?= 1# check-oom: one of so many
OF         ?=# check-oom: those of libraries too: sqlite libuv jansson
INSTANCES  ?= $(wildcard ../shared/instances)# a folder of WfFormat files, for check-instances
WITH_CURL  ?= 1
WITH_YAML  ?= 1

PREFIX     ?= /usr/local
LIBDIR     ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
BINDIR     ?= $(PREFIX)/bin
DATADIR    ?= $(PREFIX)/share
DESTDIR    ?=

ifeq ($(origin CC),default)
CC := cc
endif
ifeq ($(origin CXX),default)
CXX := c++
endif
PKG_CONFIG ?= pkg-config
OBJCOPY    ?= objcopy
# Debian's own, where there is another python3 in front of it: packages bring modules for that one.
PYTHON     ?= $(firstword $(wildcard /usr/bin/python3) python3)
INSTALL    ?= install
CFLAGS     ?= -O2 -g
CXXFLAGS   ?= -O2 -g

# ---- What it needs --------------------------------------------------------------------------------------

# What liborch links, by pkg-config name. A library added here is linked, is named in liborch.pc, and
# wants its package in NEED_BUILD below.
DEPS := jansson libuv sqlite3 lua5.4 libnghttp2 libssl libcrypto zlib libprotobuf-c

# Loaded on first use, so that only their headers are needed.
ifneq ($(WITH_CURL),0)
DEPS_HEADERS += libcurl
endif
ifneq ($(WITH_YAML),0)
DEPS_HEADERS += yaml-0.1
endif

# How to tell that a thing is there, and the Debian package that has it: see tests/tools/deps.sh.
CC_PACKAGE := $(if $(findstring clang,$(CC)),clang,gcc)
NEED_BUILD := cmd:$(firstword $(CC))=$(CC_PACKAGE) hdr:stdio.h=libc6-dev cmd:$(PKG_CONFIG)=pkg-config \
    cmd:$(OBJCOPY)=binutils pc:jansson=libjansson-dev pc:libuv=libuv1-dev pc:sqlite3=libsqlite3-dev \
    pc:lua5.4=liblua5.4-dev pc:libnghttp2=libnghttp2-dev pc:libssl=libssl-dev pc:libcrypto=libssl-dev pc:zlib=zlib1g-dev hdr:uthash.h=uthash-dev \
    pc:libprotobuf-c=libprotobuf-c-dev cmd:protoc-c=protobuf-c-compiler \
    $(if $(filter libcurl,$(DEPS_HEADERS)),pc:libcurl=libcurl4-openssl-dev) \
    $(if $(filter yaml-0.1,$(DEPS_HEADERS)),pc:yaml-0.1=libyaml-dev)
NEED_CHECK := $(NEED_BUILD) pc:cmocka=libcmocka-dev cmd:localedef=libc-bin cmd:openssl=openssl
NEED_CXX   := cmd:$(firstword $(CXX))=$(if $(findstring clang,$(CXX)),clang,g++)
NEED_BENCH := $(NEED_BUILD) $(NEED_CXX) pc:tbb=libtbb-dev pc:grpc++=libgrpc++-dev cmd:openssl=openssl
NEED_LINT  := cmd:clang-tidy=clang-tidy cmd:clang-format=clang-format cmd:cppcheck=cppcheck
NEED_ABI   := cmd:abidw=abigail-tools
NEED_DOCS  := cmd:doxygen=doxygen
NEED_FUZZ  := cmd:clang=clang clang:fuzzer=libclang-rt-dev
NEED_COV   := cmd:lcov=lcov
NEED_PY    := cmd:python3=python3
NEED_SCHEMA := cmd:$(PYTHON)=python3 py:jsonschema=python3-jsonschema
# Debian's sqlite3.pc has a static host link zlib, and its package does not bring it along.
NEED_HOST  := $(NEED_BUILD) $(NEED_CXX) hdr:zlib.h=zlib1g-dev
NEED_H2SPEC := cmd:go=golang-go cmd:curl=curl cmd:nghttp=nghttp2-client cmd:openssl=openssl file:/etc/ssl/certs/ca-certificates.crt=ca-certificates
# The protos, and what builds the official peers, whose libraries their own package managers fetch.
NEED_INTEROP := $(NEED_BUILD) file:/usr/share/grpc-proto/grpc/testing/test.proto=grpc-proto cmd:$(PYTHON)=python3 py:ensurepip=python3-venv \
    py:h2=python3-h2 cmd:node=nodejs cmd:npm=npm cmd:openssl=openssl $(NEED_H2SPEC)
NEED_CI    := $(NEED_SCHEMA) $(NEED_CHECK) $(NEED_HOST) $(NEED_LINT) $(NEED_ABI) $(NEED_DOCS) $(NEED_PY) \
    $(NEED_FUZZ) cmd:valgrind=valgrind

deps_install = @CC='$(CC)' PKG_CONFIG='$(PKG_CONFIG)' PYTHON='$(PYTHON)' sh tests/tools/deps.sh install $(sort $(1))

# Evaluated on first use and then kept. Says what is missing, and stops, before the compiler would.
lazy = $(eval $(1) := $(2))$($(1))
deps_missing = $(shell CC='$(CC)' PKG_CONFIG='$(PKG_CONFIG)' sh tests/tools/deps.sh list $(NEED_BUILD))
deps_checked = $(if $(deps_missing),$(error missing: $(deps_missing). `make deps` installs it on Debian and Ubuntu))
DEPS_CFLAGS   = $(deps_checked)$(call lazy,DEPS_CFLAGS,$(shell $(PKG_CONFIG) --cflags $(DEPS) $(DEPS_HEADERS)))
DEPS_LIBS     = $(call lazy,DEPS_LIBS,$(shell $(PKG_CONFIG) --libs $(DEPS)))
CMOCKA_CFLAGS = $(call lazy,CMOCKA_CFLAGS,$(shell $(PKG_CONFIG) --cflags cmocka))
CMOCKA_LIBS   = $(call lazy,CMOCKA_LIBS,$(shell $(PKG_CONFIG) --libs cmocka))

# ---- Version --------------------------------------------------------------------------------------------

# Its one home is include/orch/version.h. The soname is the major of the ABI.
VERSION   := $(or $(shell sed -n 's/^\#define ORCH_VERSION "\([^"]*\)".*/\1/p' include/orch/version.h 2>/dev/null),0.1.0)
SOVERSION := $(firstword $(subst ., ,$(VERSION)))
SONAME    := liborch.so.$(SOVERSION)

# ---- Flags ----------------------------------------------------------------------------------------------

# gcc's plain -Wshadow also forbids a variable the name of a type (`step`), which clang's does not.
SHADOW := $(if $(findstring clang,$(CC)),-Wshadow,-Wshadow=local)
WARN   := -Wall -Wextra $(SHADOW) -Wpointer-arith -Wcast-qual -Wundef -Wvla -Wformat=2 -Wwrite-strings
WARN_C := -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition
ifneq ($(WERROR),0)
WARN   += -Werror
endif

DEFINES := -DORCH_WITH_CURL=$(WITH_CURL) -DORCH_WITH_YAML=$(WITH_YAML)
CODEGEN := -fPIC -fvisibility=hidden -fno-strict-aliasing -pthread
LINK    := -pthread -Wl,--as-needed

# Only a release build is without assertions: they are for the tests, never for a host.
ifeq ($(MODE),release)
DEFINES += -DNDEBUG
CODEGEN += -ffunction-sections -fdata-sections
LINK    += -Wl,--gc-sections
# A step crosses every floor of the house: seen as a whole it costs a tenth less. Not with clang, whose link-time
# optimiser needs a linker of its own.
LTO ?= $(if $(findstring clang,$(CC)),0,1)
ifneq ($(LTO),0)
CODEGEN += -flto
LINK    += -flto=auto
RELINK   = $(CODEGEN) $(CFLAGS) -flto=auto -flinker-output=nolto-rel
endif
else
DEFINES += -DORCH_TEST_HOOKS
endif
# The simulator's: bugs that it has to find can be switched on (lib/base/mutation.h).
ifneq ($(filter sim sim-asan,$(MODE)),)
DEFINES += -DORCH_MUTATIONS
endif
ifneq ($(filter release check sim,$(MODE)),)
CODEGEN += -fstack-protector-strong
# It needs an optimiser, and warns without one.
ifneq ($(filter -O1 -O2 -O3 -Os,$(CFLAGS)),)
CODEGEN += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
endif
LINK    += -Wl,-z,relro,-z,now
LINK_SO := -Wl,-z,defs
endif
# The other modes look at the code under a microscope: hardening would only hide things from it.
ifneq ($(filter asan sim-asan,$(MODE)),)
MODE_FLAGS := -U_FORTIFY_SOURCE -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
endif
ifeq ($(MODE),tsan)
# gcc warns that it does not follow fences; what we build does not rely on them alone.
MODE_FLAGS := -U_FORTIFY_SOURCE -O1 -fno-omit-frame-pointer -fsanitize=thread $(if $(findstring clang,$(CC)),,-Wno-tsan)
endif
ifeq ($(MODE),coverage)
MODE_FLAGS := -U_FORTIFY_SOURCE -O0 --coverage -fprofile-update=atomic
endif
ifeq ($(MODE),fuzz)
MODE_FLAGS := -U_FORTIFY_SOURCE -O1 -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
endif
ifeq ($(filter release check sim sim-asan asan tsan coverage fuzz,$(MODE)),)
$(error MODE=$(MODE): it is release, check, sim, sim-asan, asan, tsan, coverage or fuzz)
endif

OWN_FLAGS  = -D_GNU_SOURCE $(DEFINES) $(CPPFLAGS)
CPP_FLAGS  = $(OWN_FLAGS) $(DEPS_CFLAGS)
C_FLAGS    = -std=c11 $(CODEGEN) $(WARN) $(WARN_C) $(CFLAGS) $(MODE_FLAGS)
CXX_FLAGS  = -std=c++17 $(CODEGEN) $(WARN) $(CXXFLAGS) $(MODE_FLAGS)
LINK_FLAGS = $(LINK) $(MODE_FLAGS) $(LDFLAGS)
SYS_LIBS  := -lpthread -ldl -lm

GEN          := $(B)/gen/lib# what protoc-c makes of proto/
INC_lib       = -Iinclude -Ilib -isystem $(GEN)
INC_tests     = -Iinclude -Ilib -Itests -isystem $(GEN) $(CMOCKA_CFLAGS)
INC_examples := -Iinclude

# ---- What there is --------------------------------------------------------------------------------------

HEADERS     := $(shell find include -name '*.h' 2>/dev/null | sort)
PROTO       := $(shell find proto -name '*.proto' 2>/dev/null | sort)
LIB_SRC     := $(shell find $(SRC_DIRS) -name '*.c' 2>/dev/null | sort)
CALLS_SRC   := tests/support/call_faults.c# stands before libc's: only for those that ask for it
SUPPORT_SRC := $(sort $(filter-out $(CALLS_SRC),$(wildcard tests/support/*.c)))
UNIT_SRC    := $(sort $(wildcard tests/unit/test_*.c tests/unit/*/test_*.c))
INTEG_SRC   := $(sort $(wildcard tests/integration/test_*.c tests/integration/*/test_*.c))
CRASH_SRC   := $(sort $(wildcard tests/crash/*.c))
POWER_SRC   := $(sort $(wildcard tests/power/*.c))
OOM_SRC     := $(sort $(wildcard tests/oom/*.c))
FUZZ_SRC    := $(sort $(wildcard tests/fuzz/fuzz_*.c))
FUZZ_MORE   := $(filter-out $(FUZZ_SRC) tests/fuzz/replay.c,$(sort $(wildcard tests/fuzz/*.c)))# shared by the targets
SIM_SRC     := $(sort $(wildcard tests/simulation/*.c))
BENCH_SRC   := $(sort $(wildcard tests/bench/bench_*.c))
BENCH_CXX   := $(sort $(wildcard tests/bench/bench_*.cc))
BENCH_MORE  := $(filter-out $(BENCH_SRC),$(sort $(wildcard tests/bench/*.c)))# shared by the benches
PEER_C      := $(sort $(wildcard tests/bench/grpc/*.c))# programs that bench_grpc runs, and what they share
PEER_CXX    := tests/bench/grpc/theirs.cc
EXAMPLES    := $(sort $(foreach f,$(wildcard examples/*/*.c),$(notdir $(patsubst %/,%,$(dir $(f))))))
PROGRAMS    := orch-engine orch-server orchctl# to be installed; of examples/programs
COMMON_SRC  := $(sort $(wildcard examples/programs/common/*.c))
EXAMPLE_SRC := $(sort $(wildcard examples/*/*.c examples/programs/*/*.c))

objs = $(patsubst %,$(B)/obj/%.o,$(basename $(1)))
bins = $(patsubst tests/%,$(B)/tests/%,$(basename $(1)))

GEN_C        := $(patsubst proto/%.proto,$(GEN)/%.pb-c.c,$(PROTO)) $(GEN)/descriptors.c
LIB_OBJ      := $(call objs,$(LIB_SRC)) $(GEN_C:.c=.o)
SUPPORT_OBJ  := $(call objs,$(SUPPORT_SRC))
INTERNAL     := $(B)/liborch-internal.a
SUPPORT      := $(B)/libsupport.a
UNIT_BINS    := $(call bins,$(UNIT_SRC))
INTEG_BINS   := $(call bins,$(INTEG_SRC))
CRASH_BINS   := $(call bins,$(CRASH_SRC))
POWER_BINS   := $(call bins,$(POWER_SRC))
OOM_BINS     := $(call bins,$(OOM_SRC))
FUZZ_BINS    := $(call bins,$(FUZZ_SRC))
SIM          := $(B)/tests/sim
BENCH_C_BINS := $(call bins,$(BENCH_SRC))
BENCH_X_BINS := $(call bins,$(BENCH_CXX))
PEER_BINS    := $(call bins,$(filter-out %/peer.c,$(PEER_C)))
PEER_X_BIN   := $(call bins,$(PEER_CXX))
C_TEST_BINS  := $(UNIT_BINS) $(INTEG_BINS) $(CRASH_BINS) $(POWER_BINS) $(OOM_BINS)
EXAMPLE_BINS := $(addprefix $(B)/examples/,$(EXAMPLES) $(PROGRAMS))
ALL_SRC      := $(LIB_SRC) $(SUPPORT_SRC) $(CALLS_SRC) $(UNIT_SRC) $(INTEG_SRC) $(CRASH_SRC) $(POWER_SRC) $(OOM_SRC) $(FUZZ_SRC) $(FUZZ_MORE) tests/fuzz/replay.c $(SIM_SRC) $(BENCH_SRC) \
    $(BENCH_MORE) $(PEER_C) $(EXAMPLE_SRC)

# T=name picks programs by the file's name, with or without its prefix.
pick = $(if $(T),$(foreach t,$(T),$(filter %/$(t) %/test_$(t) %/bench_$(t),$(1))),$(1))

# ---- Words for the rules --------------------------------------------------------------------------------

ifeq ($(V),0)
Q := @
say = @printf '  %-4s %s\n' $(1) $(2)
else
Q :=
say = @:
endif

# A call of make that builds something else; on all processors unless the caller chose a number.
submake = +@$(MAKE) $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(JOBS))
in_mode = $(submake) MODE=$(1) B=$(B)/$(1)

# A stamp that changes with its text, so that what depends on it is made again when a flag or the list
# of sources changes, and only then.
same  = $(and $(findstring <$(strip $(1))>,<$(strip $(2))>),$(findstring <$(strip $(2))>,<$(strip $(1))>))
stamp = @mkdir -p $(@D); printf '%s\n' '$(strip $(1))' >$@

# The libraries by name: asking pkg-config about them has to wait.
FLAGS_TEXT   := $(CC) $(CXX) $(OWN_FLAGS) $(C_FLAGS) $(CXX_FLAGS) $(LINK_FLAGS) $(LINK_SO) $(DEPS) $(DEPS_HEADERS) $(VERSION)
OBJECTS_TEXT := $(LIB_OBJ) $(SUPPORT_OBJ)

$(B)/flags: $(if $(call same,$(FLAGS_TEXT),$(file <$(B)/flags)),,FORCE)
	$(call stamp,$(FLAGS_TEXT))
$(B)/objects: $(if $(call same,$(OBJECTS_TEXT),$(file <$(B)/objects)),,FORCE)
	$(call stamp,$(OBJECTS_TEXT))

# ---- The library ----------------------------------------------------------------------------------------

.PHONY: all shared static internal FORCE
all: shared static ## Build the shared and the static library (the default)
shared: $(B)/liborch.so ; @:
static: $(B)/liborch.a ; @:
internal: $(INTERNAL) ; @:

# One run makes a .c and a .h; who includes one has to find it, and learns of its dependence by -MMD. The generated
# code is as it is: our warnings are for ours.
$(GEN)/%.pb-c.c: proto/%.proto
	@mkdir -p $(GEN)
	$(call say,PB,$<)
	$(Q)protoc-c -Iproto --c_out=$(GEN) $<
# What reflection tells of them.
$(GEN)/descriptors.c: $(PROTO)
	@mkdir -p $(GEN)
	$(call say,PB,$@)
	$(Q)protoc-c -Iproto --include_imports --descriptor_set_out=$(@:.c=.pb) $(PROTO)
	$(Q){ echo '#include <stddef.h>'; echo '#include <stdint.h>'; echo 'const uint8_t proto_descriptors[] = {'; \
	    od -An -v -tx1 $(@:.c=.pb) | sed 's/ \(..\)/0x\1,/g'; echo '};'; \
	    echo 'const size_t proto_descriptors_len = sizeof proto_descriptors;'; } >$@
$(GEN_C:.c=.o): %.o: %.c $(B)/flags
	$(call say,CC,$<)
	$(Q)$(CC) -isystem $(GEN) $(CPP_FLAGS) -std=c11 $(CODEGEN) $(CFLAGS) $(MODE_FLAGS) -c -o $@ $<
.SECONDARY: $(GEN_C)

compile = @mkdir -p $(@D)
$(B)/obj/lib/%.o: lib/%.c $(B)/flags $(GEN_C)
	$(compile)
	$(call say,CC,$<)
	$(Q)$(CC) $(INC_lib) $(CPP_FLAGS) $(C_FLAGS) -MMD -MP -c -o $@ $<
$(B)/obj/tests/%.o: tests/%.c $(B)/flags $(GEN_C)
	$(compile)
	$(call say,CC,$<)
	$(Q)$(CC) $(INC_tests) $(CPP_FLAGS) $(C_FLAGS) -MMD -MP -c -o $@ $<
$(B)/obj/tests/%.o: tests/%.cc $(B)/flags
	$(compile)
	$(call say,CXX,$<)
	$(Q)$(CXX) $(INC_tests) $(CPP_FLAGS) $(CXX_FLAGS) -MMD -MP -c -o $@ $<
$(B)/obj/examples/%.o: examples/%.c $(B)/flags
	$(compile)
	$(call say,CC,$<)
	$(Q)$(CC) $(INC_examples) $(CPP_FLAGS) $(C_FLAGS) -MMD -MP -c -o $@ $<

$(B)/liborch.so.$(VERSION): $(LIB_OBJ) $(B)/objects lib/liborch.map
	$(call say,LD,$@)
	$(Q)$(CC) -shared $(LINK_FLAGS) $(LINK_SO) -Wl,-soname,$(SONAME) -Wl,--version-script,lib/liborch.map \
	    -o $@ $(LIB_OBJ) $(DEPS_LIBS) $(SYS_LIBS)
$(B)/$(SONAME): $(B)/liborch.so.$(VERSION)
	$(Q)ln -sf liborch.so.$(VERSION) $@
$(B)/liborch.so: $(B)/$(SONAME)
	$(Q)ln -sf $(SONAME) $@

# One object, in which every symbol that is hidden in the shared library has become local: a host that
# has a function of the same name as one of ours links all the same.
$(B)/liborch.o: $(LIB_OBJ) $(B)/objects
	$(call say,LD,$@)
	$(Q)$(CC) $(RELINK) -r -nostdlib -o $@.tmp $(LIB_OBJ)
	$(Q)$(OBJCOPY) --localize-hidden $@.tmp $@ && rm -f $@.tmp
$(B)/liborch.a: $(B)/liborch.o
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $<

# Tests see everything, so they link the objects as they are.
$(INTERNAL): $(LIB_OBJ) $(B)/objects
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $(LIB_OBJ)
$(SUPPORT): $(SUPPORT_OBJ) $(B)/objects
	$(Q)mkdir -p $(@D) && rm -f $@ && $(AR) rcs $@ $(SUPPORT_OBJ)

# ---- Programs -------------------------------------------------------------------------------------------

TEST_LIBS = -Wl,--start-group $(SUPPORT) $(INTERNAL) -Wl,--end-group

$(filter %/test_call_faults,$(INTEG_BINS)): $(call objs,$(CALLS_SRC))
$(C_TEST_BINS): $(B)/tests/%: $(B)/obj/tests/%.o $(SUPPORT) $(INTERNAL)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(LINK_FLAGS) -o $@ $(filter %.o,$^) $(TEST_LIBS) $(CMOCKA_LIBS) $(DEPS_LIBS) $(SYS_LIBS)

$(call objs,$(SIM_SRC)): CMOCKA_CFLAGS :=
$(SIM): $(call objs,$(SIM_SRC)) $(INTERNAL)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(LINK_FLAGS) -o $@ $^ $(DEPS_LIBS) $(SYS_LIBS)

# With libFuzzer's own main, or with one that runs the corpus.
FUZZ_LINK = $(if $(filter fuzz,$(MODE)),-fsanitize=fuzzer)
$(call objs,$(FUZZ_SRC) $(FUZZ_MORE) tests/fuzz/replay.c): CMOCKA_CFLAGS :=
$(FUZZ_BINS): $(B)/tests/%: $(B)/obj/tests/%.o $(call objs,$(FUZZ_MORE) $(if $(filter fuzz,$(MODE)),,tests/fuzz/replay.c)) $(INTERNAL)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(LINK_FLAGS) $(FUZZ_LINK) -o $@ $^ $(DEPS_LIBS) $(SYS_LIBS)

# Some tests run the examples, as a user does.
$(filter %/test_inventory,$(INTEG_BINS)): | $(B)/examples/inventory
$(filter %/test_programs,$(INTEG_BINS)): | $(PROGRAMS:%=$(B)/examples/%)
$(filter %/test_transports,$(INTEG_BINS)): | $(B)/examples/transport-pipe
$(filter %/test_wfreplay,$(INTEG_BINS)): | $(B)/examples/wfreplay
$(filter %/test_hello,$(INTEG_BINS)): | $(B)/examples/hello-v1 $(B)/examples/hello-v2

# No cmocka here: a bench has no need of it, and neither has the machine that runs one.
$(call objs,$(BENCH_SRC) $(BENCH_CXX) $(BENCH_MORE) $(PEER_C) $(PEER_CXX)): CMOCKA_CFLAGS :=
$(BENCH_C_BINS): $(B)/tests/%: $(B)/obj/tests/%.o $(call objs,$(BENCH_MORE)) $(INTERNAL)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(LINK_FLAGS) -o $@ $^ $(DEPS_LIBS) $(SYS_LIBS)
$(BENCH_X_BINS): $(B)/tests/%: $(B)/obj/tests/%.o $(call objs,$(BENCH_MORE)) $(INTERNAL)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CXX) $(LINK_FLAGS) -o $@ $^ $(DEPS_LIBS) $(SYS_LIBS) -ltbb
$(filter %/bench_grpc,$(BENCH_C_BINS)): | $(PEER_BINS) $(PEER_X_BIN)
PEER_SHARED := $(call objs,tests/bench/grpc/peer.c tests/bench/bench.c)
$(PEER_BINS): $(B)/tests/%: $(B)/obj/tests/%.o $(PEER_SHARED) $(INTERNAL)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(LINK_FLAGS) -o $@ $^ $(DEPS_LIBS) $(SYS_LIBS)
# Not our folder of the name grpc; and what it does not need would count as its memory.
$(call objs,$(PEER_CXX)): INC_tests := -Iinclude -Itests
$(PEER_X_BIN): $(B)/tests/%: $(B)/obj/tests/%.o $(PEER_SHARED) $(INTERNAL)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CXX) $(LINK_FLAGS) -o $@ $^ -Wl,--as-needed $$($(PKG_CONFIG) --libs grpc++) $(DEPS_LIBS) $(SYS_LIBS)

# 1: name, 2: sources.
define example_rule
$(B)/examples/$(1): $(call objs,$(2)) $(B)/liborch.so
	@mkdir -p $$(@D)
	$$(call say,LD,$$@)
	$$(Q)$$(CC) $$(LINK_FLAGS) -Wl,-rpath,'$$$$ORIGIN/..:$$$$ORIGIN/../lib' -o $$@ $$(filter %.o,$$^) -L$$(B) -lorch $$(DEPS_LIBS) $$(SYS_LIBS)
endef
$(foreach e,$(EXAMPLES),$(eval $(call example_rule,$(e),$(wildcard examples/$(e)/*.c))))
$(foreach e,$(PROGRAMS),$(eval $(call example_rule,$(e),$(wildcard examples/programs/$(e)/*.c) $(COMMON_SRC))))

# The official peers of check-interop, and h2spec.
INTEROP := $(B)/interop
PEERS   := python go node
define peer_rule
$(INTEROP)/$(1)/built: $(wildcard tests/interop/$(1)/*) tests/interop/build.sh
	$$(call say,PEER,$(1))
	$$(Q)PYTHON='$(PYTHON)' sh tests/interop/build.sh $(1) $(INTEROP)
endef
$(foreach p,$(PEERS) h2spec,$(eval $(call peer_rule,$(p))))
$(INTEROP)/go/built: | $(INTEROP)/python/built

# The engines of check-engines, one folder of examples/engines for each language.
ENGINES := $(notdir $(wildcard examples/engines/*))
define engine_rule
$(INTEROP)/engine_$(1)/built: $(wildcard examples/engines/$(1)/*.*) proto/orch/v1/engine.proto tests/interop/build.sh | $(INTEROP)/python/built
	$$(call say,ENG,$(1))
	$$(Q)sh tests/interop/build.sh engine_$(1) $(INTEROP)
endef
$(foreach e,$(ENGINES),$(eval $(call engine_rule,$(e))))

# Our own one, of the same protos.
OWN_SRC := $(sort $(wildcard tests/interop/own/*.c))
OWN_PEER := $(B)/tests/interop/peer
OWN     ?= $(OWN_PEER)# another program to run in its place
PROTOS  := /usr/share/grpc-proto
PB_GEN  := $(B)/gen/interop
PB_OWN  := $(PB_GEN)/grpc/testing/messages.pb-c
PB_FLAGS = -isystem $(PB_GEN)
$(PB_OWN).c:
	@mkdir -p $(PB_GEN)
	$(call say,PB,$@)
	$(Q)protoc-c -I$(PROTOS) --c_out=$(PB_GEN) $(PROTOS)/grpc/testing/messages.proto
# What its reflection tells.
PB_SET := $(PB_GEN)/test.desc
$(PB_SET):
	@mkdir -p $(PB_GEN)
	$(call say,PB,$@)
	$(Q)protoc-c -I$(PROTOS) --include_imports --descriptor_set_out=$@ $(PROTOS)/grpc/testing/test.proto
$(PB_OWN).o: $(PB_OWN).c
	$(Q)$(CC) $(PB_FLAGS) $(DEPS_CFLAGS) $(CFLAGS) $(MODE_FLAGS) -c -o $@ $<
$(call objs,$(OWN_SRC)): CMOCKA_CFLAGS = $(PB_FLAGS) -DOWN_DESCRIPTORS='"$(abspath $(PB_SET))"'
$(call objs,$(OWN_SRC)): | $(PB_OWN).c $(PB_SET)
$(OWN_PEER): $(call objs,$(OWN_SRC)) $(PB_OWN).o $(INTERNAL)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(LINK_FLAGS) -o $@ $^ $(DEPS_LIBS) $(SYS_LIBS)

.PHONY: examples
examples: $(EXAMPLE_BINS) ## Build the programs of examples/

# Only those that are there: make would look for a way to make the others.
include $(wildcard $(patsubst %.o,%.d,$(call objs,$(ALL_SRC) $(BENCH_CXX) $(PEER_CXX))))

# ---- Dependencies ---------------------------------------------------------------------------------------

.PHONY: deps deps-check deps-bench deps-lint deps-abi deps-docs deps-coverage deps-layers deps-schema deps-h2spec deps-interop deps-valgrind deps-fuzz deps-install deps-ci
deps: ; $(call deps_install,$(NEED_BUILD)) ## Install what the library is built from (Debian, Ubuntu)
deps-check: ; $(call deps_install,$(NEED_CHECK))
deps-bench: ; $(call deps_install,$(NEED_BENCH))
deps-lint: ; $(call deps_install,$(NEED_CHECK) $(NEED_LINT))
deps-abi: ; $(call deps_install,$(NEED_BUILD) $(NEED_ABI))
deps-docs: ; $(call deps_install,$(NEED_DOCS))
deps-coverage: ; $(call deps_install,$(NEED_CHECK) $(NEED_COV))
deps-layers: ; $(call deps_install,$(NEED_PY))
deps-schema: ; $(call deps_install,$(NEED_SCHEMA))
deps-h2spec: ; $(call deps_install,$(NEED_H2SPEC))
deps-interop: ; $(call deps_install,$(NEED_INTEROP))
deps-fuzz: ; $(call deps_install,$(NEED_BUILD) $(NEED_FUZZ))
deps-valgrind: ; $(call deps_install,$(NEED_CHECK) cmd:valgrind=valgrind)
deps-install: ; $(call deps_install,$(NEED_HOST))
deps-ci: ; $(call deps_install,$(NEED_CI)) ## Install what .ci/run needs

# ---- Tests ----------------------------------------------------------------------------------------------

# Of what check-oom does at full size, the others do a part.
RUN_TESTS = MODE=$(MODE) ROUNDS=$(ROUNDS) OOM_EVERY=$(OOM_EVERY) sh tests/tools/run_tests.sh -j $(JOBS) -t $(TEST_TIMEOUT)
OOM_EVERY ?= $(if $(filter coverage,$(MODE)),5,40)
TEST_TIMEOUT ?= $(if $(filter release check,$(MODE)),120,600)# seconds a program may take

.PHONY: demo check check-asan check-tsan check-valgrind check-crash check-power check-oom check-sim check-sim-asan check-mutations fuzz sim check-interop check-engines check-h2spec check-instances bench coverage
demo: deps ## Run a real job on a source tree (TREE=dir; this one), and say where the report is
	$(submake) $(B)/examples/inventory
	@$(B)/examples/inventory --state $(B)/demo $(or $(TREE),.)

check: deps-check ## Run the unit and integration tests (T=name for one)
	$(call in_mode,check) run-tests
check-asan: deps-check ## The same under AddressSanitizer and UndefinedBehaviorSanitizer
	$(call in_mode,asan) run-tests
check-tsan: deps-check ## The same under ThreadSanitizer
	$(call in_mode,tsan) run-tests
check-valgrind: deps-valgrind ## The unit tests under valgrind
	$(call in_mode,check) run-valgrind
check-crash: deps-check ## Kill the orchestrator with SIGKILL, ROUNDS times, and count what it lost
	$(call in_mode,check) run-crash
check-power: deps-check ## Lose what was not synced, ROUNDS times, and count what it lost
	$(call in_mode,check) run-power
check-oom: deps-check ## Fail each allocation in turn (EVERY=n: each n-th, FROM=the first; OF="sqlite libuv": theirs too)
	$(call in_mode,asan) run-oom
check-sim: deps-check ## Simulate: SEEDS worlds in which everything goes wrong, and every promise is checked
	$(call in_mode,sim) run-sim
check-sim-asan: deps-check ## The same under AddressSanitizer and UndefinedBehaviorSanitizer: a tenth of the SEEDS
	$(call in_mode,sim-asan) run-sim SEEDS=$$(($(SEEDS) / 10))
check-mutations: deps-check ## Switch on one bug after the other: the simulator has to catch each, within MUTATION_SEEDS seeds
	$(call in_mode,sim) run-mutations
fuzz: deps-fuzz ## Fuzz each target for TIME seconds (T=name for one)
	$(call in_mode,fuzz) CC=clang CXX=clang++ run-fuzz
# SEED=n: that one; TRACE=1: all that happens in it; MUTATION=name: with a bug that is to be found.
sim: deps-check ## The same with more SEEDS, FROM a seed on; or SEED=n TRACE=1 for one
	$(call in_mode,sim) run-sim

check-interop: deps-interop ## Run gRPC's interop cases (tests/interop/README.md); OWN=program: those with it
	$(submake) run-interop

check-engines: deps-interop ## Run workflows on the engines of examples/engines (ENGINES="python": those; T=name for one scene)
	$(submake) run-engines

check-h2spec: deps-interop ## Run h2spec's 146 tests, and some requests by curl and nghttp, against our server, or SERVER="command", or SERVER=port (KNOWN=file: of what fails)
	$(submake) run-h2spec

check-instances: deps ## Run every WfFormat file of INSTANCES=dir
	@test -n "$(INSTANCES)" || { echo 'check-instances: say which folder: make check-instances INSTANCES=dir' >&2; exit 1; }
	$(submake) $(B)/examples/wfreplay
	@$(B)/examples/wfreplay --scale $(or $(SCALE),0.0001) $(INSTANCES)/*.json

bench: deps-bench ## Measure; prints one JSON object a line (T=name for one)
	$(submake) run-bench-build >&2
	@for b in $(call pick,$(BENCH_C_BINS) $(BENCH_X_BINS)); do $$b || exit 1; done

# The halves that run in a mode, after the packages are there.
.PHONY: run-tests run-valgrind run-crash run-power run-oom run-sim run-mutations run-fuzz run-interop run-engines run-h2spec run-bench-build
run-tests: $(call pick,$(UNIT_BINS) $(INTEG_BINS) $(OOM_BINS) $(FUZZ_BINS))
	@$(RUN_TESTS) $^
run-valgrind: $(call pick,$(UNIT_BINS))
	@MODE=valgrind RUNNER='valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite,possible' \
	    sh tests/tools/run_tests.sh -j $(JOBS) -t 1800 $^
run-crash: $(call pick,$(CRASH_BINS))
	@$(RUN_TESTS) -v -t 7200 $^
run-power: $(call pick,$(POWER_BINS))
	@$(RUN_TESTS) -v -t 7200 $^
run-oom: $(call pick,$(OOM_BINS))
	@MODE=$(MODE) OOM_OF="$(OF)" sh tests/tools/oom.sh $(EVERY) $(FROM) $^
run-sim: $(SIM)
	@$(if $(SEED),:,$(SIM) --twice --seeds 20 --no-shrink)
	@$(SIM) $(if $(SEED),--seed $(SEED) $(if $(TRACE),--trace),--seeds $(SEEDS) --from $(FROM) --jobs $(JOBS)) \
	    $(if $(MUTATION),--mutation $(MUTATION)) $(SIM_FLAGS)
run-fuzz: $(call pick,$(FUZZ_BINS))
	@sh tests/tools/fuzz.sh $(TIME) $(JOBS) $(B)/found $^
run-interop: $(filter $(OWN_PEER),$(OWN)) $(PEERS:%=$(INTEROP)/%/built)
	@$(PYTHON) tests/interop/run.py $(INTEROP) --jobs $(JOBS) --own $(OWN)
run-engines: $(B)/examples/orch-server $(B)/examples/orchctl $(patsubst %,$(INTEROP)/engine_%/built,python $(filter-out python,$(ENGINES)))
	@$(INTEROP)/python/venv/bin/python tests/interop/engines.py $(if $(T),--only $(T)) $(B) $(INTEROP) $(ENGINES)
run-h2spec: $(INTEROP)/h2spec/built $(if $(SERVER),,$(OWN_PEER))
	@H2SPEC=$(INTEROP)/h2spec/h2spec sh tests/interop/h2spec.sh \
	    $(if $(SERVER),$(if $(KNOWN),-k $(KNOWN)) $(SERVER),-k tests/interop/h2spec/known.txt $(OWN_PEER) server)
	@$(if $(SERVER),:,sh tests/interop/by_hand.sh $(OWN_PEER) server)
run-mutations: $(SIM)
	@$(SIM) --mutations --seeds $(MUTATION_SEEDS) --from $(FROM) --jobs $(JOBS)
run-bench-build: $(call pick,$(BENCH_C_BINS) $(BENCH_X_BINS)) shared

coverage: deps-coverage ## Lines and branches that the tests reach; HTML in build/coverage
	$(call in_mode,coverage) run-coverage
.PHONY: run-coverage
run-coverage: $(UNIT_BINS) $(INTEG_BINS) $(OOM_BINS) $(FUZZ_BINS)
	@find $(B) -name '*.gcda' -delete
	@$(RUN_TESTS) $^
	@sh tests/tools/coverage.sh $(B)

# ---- What the project promises about itself -------------------------------------------------------------

.PHONY: check-layers check-schema check-abi abi-update check-install lint format docs compile_commands.json check-all
check-layers: deps-layers ## Each floor includes only floors below it
	@python3 tests/tools/check_layers.py

check-schema: deps-schema ## The JSON Schema of definitions and the parser agree on the samples
	@$(PYTHON) tests/tools/check_schema.py

check-abi: deps-abi ## Compare the ABI and the exported symbols with tests/abi
	$(submake) shared
	@CC='$(CC)' sh tests/tools/check_abi.sh check $(B)
abi-update: deps-abi ## Accept the ABI as it is now
	$(submake) shared
	@CC='$(CC)' sh tests/tools/check_abi.sh update $(B)

check-install: deps-install ## Build outside the tree, install, and compile hosts against what was installed
	+@MAKE='$(MAKE)' CC='$(CC)' CXX='$(CXX)' PKG_CONFIG='$(PKG_CONFIG)' JOBS='$(JOBS)' sh tests/tools/check_install.sh $(abspath $(B))/install

lint: deps-lint ## clang-tidy, cppcheck, clang-format
	$(submake) compile_commands.json
	@JOBS=$(JOBS) sh tests/tools/lint.sh $(B) $(ALL_SRC)
format: ## Lay out every source as .clang-format says
	@git ls-files -co --exclude-standard -- '*.c' '*.h' '*.cc' | xargs -r clang-format -i

docs: deps-docs ## API reference from the public headers; an undocumented symbol is an error
	@VERSION=$(VERSION) sh tests/tools/docs.sh $(B)/docs

# Written out, not recorded: it needs no build and covers what is not built yet. By make itself, since all of it
# is longer than a command line may be. Its readers are clang's: they get clang's words, and what they find is
# an error by their own rules.
comma := ,
CLANG_FLAGS = $(subst $(SHADOW),-Wshadow,$(filter-out -Werror,$(CPP_FLAGS) $(C_FLAGS)))
entry = {"directory": "$(CURDIR)", "file": "$(1)", "command": "$(CC) $(INC_$(firstword $(subst /, ,$(1)))) \
    $(CLANG_FLAGS) $(if $(filter $(1),$(SIM_SRC)),-DORCH_MUTATIONS) -c $(1)"}$(if $(filter $(1),$(lastword $(ALL_SRC))),,$(comma))
compile_commands.json: $(GEN_C) ## For editors and clang-tidy, in build/
	@:$(shell mkdir -p $(B))$(file >$(B)/$@,[)$(foreach s,$(ALL_SRC),$(file >>$(B)/$@,$(call entry,$(s))))$(file >>$(B)/$@,])

# One after the other, however many jobs make may run: they share processors and build folders.
CHECKS := check check-asan check-tsan check-valgrind check-layers check-schema check-install check-abi docs lint check-crash \
    check-power check-oom check-sim check-sim-asan check-mutations fuzz $(if $(INSTANCES),check-instances)
check-all: ## Every test at full size
	+@for c in $(CHECKS); do echo "== $$c"; $(MAKE) $$c || exit 1; done

# ---- Install --------------------------------------------------------------------------------------------

.PHONY: install uninstall
pc_dir = $(patsubst $(PREFIX)/%,$${prefix}/%,$(1))
install: all $(addprefix $(B)/examples/,$(PROGRAMS)) ## Install into $(DESTDIR)$(PREFIX), libraries into LIBDIR
	$(Q)$(INSTALL) -d '$(DESTDIR)$(LIBDIR)/pkgconfig'
	$(Q)for h in $(HEADERS:include/%=%); do \
	    $(INSTALL) -D -m 644 include/$$h '$(DESTDIR)$(INCLUDEDIR)'/$$h || exit 1; done
	$(Q)$(INSTALL) -m 755 $(B)/liborch.so.$(VERSION) '$(DESTDIR)$(LIBDIR)/'
	$(Q)ln -sf liborch.so.$(VERSION) '$(DESTDIR)$(LIBDIR)/$(SONAME)'
	$(Q)ln -sf $(SONAME) '$(DESTDIR)$(LIBDIR)/liborch.so'
	$(Q)$(INSTALL) -m 644 $(B)/liborch.a '$(DESTDIR)$(LIBDIR)/'
	$(Q)sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(call pc_dir,$(LIBDIR))|' \
	    -e 's|@INCLUDEDIR@|$(call pc_dir,$(INCLUDEDIR))|' -e 's|@VERSION@|$(VERSION)|' -e 's|@REQUIRES@|$(DEPS)|' \
	    -e 's|@LIBS@|$(SYS_LIBS)|' pkgconfig/liborch.pc.in >'$(DESTDIR)$(LIBDIR)/pkgconfig/liborch.pc'

	$(Q)$(INSTALL) -d '$(DESTDIR)$(BINDIR)' '$(DESTDIR)$(DATADIR)/man/man1' '$(DESTDIR)$(DATADIR)/bash-completion/completions'
	$(Q)for p in $(PROGRAMS); do \
	    $(INSTALL) -m 755 $(B)/examples/$$p '$(DESTDIR)$(BINDIR)/' && \
	    $(INSTALL) -m 644 docs/man/$$p.1 '$(DESTDIR)$(DATADIR)/man/man1/' || exit 1; done
	$(Q)$(B)/examples/orchctl completion bash >'$(DESTDIR)$(DATADIR)/bash-completion/completions/orchctl'
	$(Q)for p in $(PROTO:proto/%=%); do \
	    $(INSTALL) -D -m 644 proto/$$p '$(DESTDIR)$(DATADIR)/liborch/proto'/$$p || exit 1; done

uninstall: ## Remove what install put there
	$(Q)cd '$(DESTDIR)$(BINDIR)' 2>/dev/null && rm -f $(PROGRAMS) || :
	$(Q)cd '$(DESTDIR)$(DATADIR)' 2>/dev/null && rm -rf liborch $(PROGRAMS:%=man/man1/%.1) bash-completion/completions/orchctl || :
	$(Q)cd '$(DESTDIR)$(INCLUDEDIR)' 2>/dev/null && rm -f $(HEADERS:include/%=%) && \
	    find orch -depth -type d -empty -delete || :
	$(Q)cd '$(DESTDIR)$(LIBDIR)' 2>/dev/null && \
	    rm -f liborch.so liborch.so.$(SOVERSION) liborch.so.$(VERSION) liborch.a pkgconfig/liborch.pc || :

# ---- The rest -------------------------------------------------------------------------------------------

.PHONY: clean help
clean: ## Remove everything that was built
	$(Q)rm -rf $(B)

help: ## This list
	@echo 'liborch $(VERSION): make [target] [V=1] [WERROR=1] [CC=clang] [B=build] [WITH_CURL=0] [WITH_YAML=0]'
	@sed -n 's/^\([a-z0-9_.-]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | \
	    while IFS="$$(printf '\t')" read -r t d; do printf '  %-22s %s\n' "$$t" "$$d"; done
