# SPDX-License-Identifier: MIT
#
# numarena's build.  One make sees the whole tree: each folder has a Kbuild file
# that only lists names (obj-y, test-y, ...), this file includes them all and owns
# every rule.  Nothing recurses, so every dependency is known and -j is exact.
#
# A target is rebuilt when a prerequisite or header is newer, or when the command
# that would make it differs from the one that made it, which <target>.cmd keeps.
# So changing a knob in the same output folder rebuilds what it affects and no more.
#
# `make help` lists targets and knobs.

MAKEFLAGS += -rR --no-print-directory
.DELETE_ON_ERROR:
.SUFFIXES:

# numarena.h has the version, in its three macros.
VERSION	:= $(shell awk '/define NUMARENA_VERSION_M|define NUMARENA_VERSION_P/ { v = v s $$3; s = "." } END { print v }' include/numarena.h)
SOMAJOR	:= $(firstword $(subst ., ,$(VERSION)))

# ---- Knobs ---------------------------------------------------------------

unset-or-default = $(filter default undefined,$(origin $1))
CC	:= $(if $(call unset-or-default,CC),gcc,$(CC))
CXX	:= $(if $(call unset-or-default,CXX),$(if $(findstring clang,$(CC)),clang++,g++),$(CXX))
AR	:= $(if $(call unset-or-default,AR),ar,$(AR))
CHECK	?= sparse
PROVE	?= prove
PKG_CONFIG ?= pkg-config
PREFIX	?= /usr/local
LIBDIR	?= $(PREFIX)/lib
BINDIR	?= $(PREFIX)/bin
DATADIR	?= $(PREFIX)/share
INCLUDEDIR ?= $(PREFIX)/include
# Tests run at once.  Two, so that the timing of stress tests means the same everywhere.
JOBS	?= 2

ifneq ($(filter-out address undefined thread,$(SAN)),)
$(error SAN=$(SAN): must be address, undefined or thread)
endif

# Builds that cannot share objects never share a folder.
O	?= build$(if $(SAN),/san-$(SAN))$(if $(DEBUG),/debug)

# malloc, free and their kin are left out under a sanitizer, which brings its own.
LIBC_NAMES := $(if $(SAN),n,y)

# ---- Flags ---------------------------------------------------------------

# numa and urcu come from pkg-config where it knows them; Debian's names otherwise.
pkg-libs = $(shell $(PKG_CONFIG) --libs $1 2>/dev/null || echo $2)
pkg-cflags = $(shell $(PKG_CONFIG) --cflags $1 2>/dev/null)

LIB_LIBS   := $(call pkg-libs,liburcu-bp,-lurcu-bp -lurcu-common) \
	      $(call pkg-libs,numa,-lnuma)
CHECK_LIBS := $(call pkg-libs,check,-lcheck)

WARN := -Wall -Wextra
ifneq ($(findstring 1,$(W)),)
WARN += -Wshadow -Wundef -Wpointer-arith -Wcast-align -Wwrite-strings -Wvla \
	-Wformat=2 -Wnull-dereference
WARN_C := -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition \
	-Wdeclaration-after-statement
ifneq ($(findstring clang,$(CC)),)
WARN += -Wthread-safety
else
WARN += -Wlogical-op -Wduplicated-cond -Wduplicated-branches
endif
endif
ifneq ($(findstring e,$(W)),)
WARN += -Werror
endif

SAN_FLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer) \
	$(if $(filter undefined,$(SAN)),-fno-sanitize-recover=all)

COMMON := -O2 -g -fPIC -pthread -D_GNU_SOURCE $(if $(DEBUG),-DNAR_DEBUG) \
	$(SAN_FLAGS) -I include -I .
# The compiler must not take our malloc for the one whose behaviour it knows,
# and thread-local data is reached by one load from the thread pointer.
cflags-lib := -fvisibility=hidden -ftls-model=initial-exec \
	-fno-builtin-malloc -fno-builtin-calloc -fno-builtin-realloc \
	-fno-builtin-free -DNAR_VERSION='"$(VERSION)"'
cflags-arena := $(cflags-lib)
cflags-numa  := $(cflags-lib)
cflags-tests := $(call pkg-cflags,check)

# The folder's flags by the first part of the path, then the file's own.
folder  = $(firstword $(subst /, ,$*))
c_flags = -std=gnu11 $(COMMON) $(cflags-$(folder)) $(WARN) $(WARN_C) \
	$(CFLAGS_$*.o) $(CPPFLAGS) $(CFLAGS)
cxx_flags = -std=gnu++17 $(COMMON) $(cflags-$(folder)) $(WARN) \
	$(CFLAGS_$*.o) $(CPPFLAGS) $(CXXFLAGS)
ld_flags = -pthread $(SAN_FLAGS) $(LDFLAGS)
# Sanitizer runtimes are found in the program, so only a plain build can insist
# that every symbol of the library is resolved when it is linked.
so_flags = -shared -Wl,-soname,libnumarena.so.$(SOMAJOR) \
	-Wl,--version-script=arena/numarena.map -Wl,-z,nodelete -Wl,-z,relro \
	-Wl,-z,now $(if $(SAN),,-Wl,-z,defs)

# ---- Lists, from the folders ---------------------------------------------

kinds := obj tool bench test die stress prog dso script full guest guest-script

# Each Kbuild starts with empty lists; afterwards its names get their folder, and
# stand in all-obj, all-test, ...
$(foreach k,$(kinds),$(eval all-$(k) :=))
define read-folder
$(foreach k,$(kinds),$(k)-y :=
)
include $1/Kbuild
$(foreach k,$(kinds),all-$(k) += $$(addprefix $1/,$$($(k)-y))
)
endef
$(foreach d,numa arena tools bench tests tests/preload tests/tools tests/link tests/cxx tests/examples tests/numa,$(eval $(call read-folder,$d)))

lib-objs := $(addprefix $(O)/,$(all-obj))
lib-so	 := $(O)/libnumarena.so
lib-a	 := $(O)/libnumarena.a
# Stands in for malloc, too: a sanitizer build has none.
record-so := $(if $(SAN),,$(O)/libnumarena-record.so)

# A program is one source of the same name, and <name>-objs of the same folder.
prog-objs = $(addprefix $(O)/,$1.o $(addprefix $(dir $1),$($(notdir $1)-objs)))
programs := $(sort $(all-tool) $(all-bench) $(all-test) $(all-die) $(all-stress) $(all-prog) $(all-guest))

test-programs := $(addprefix $(O)/,$(all-test) $(all-die) $(all-stress) $(all-prog) \
	$(all-guest) $(all-dso:=.so))
# What prove runs.  die programs are run by their driver, a script.
run-check := $(addprefix $(O)/,$(all-test) $(all-stress)) $(all-script) scripts/check-layers.sh
run-full  := $(all-full)
run-guest := $(addprefix $(O)/,$(all-guest)) $(all-guest-script)
ifdef T
run-guest := $(foreach t,$T,$(sort $(filter %/$t %/$t.sh,$(run-guest) $(run-check))))
run-check := $(foreach t,$T,$(filter %/$t %/$t.sh,$(run-check) $(run-full)))
run-full  :=
endif

build-objs := $(sort $(lib-objs) $(if $(record-so),$(O)/tools/record_preload.o) \
	$(foreach p,$(programs),$(call prog-objs,$p)) \
	$(addprefix $(O)/,$(all-dso:=.o)) $(if $(all-test),$(O)/tests/tap.o))
build-outputs := $(build-objs) $(lib-so) $(lib-a) $(record-so) $(addprefix $(O)/,$(programs)) \
	$(addprefix $(O)/,$(all-dso:=.so))

# ---- Running a command ---------------------------------------------------

# Two strings are equal when each is found in the other.
empty	:=
same	= $(and $(findstring <$(strip $1)>,<$(strip $2)>),$(findstring <$(strip $2)>,<$(strip $1)>))
squote	:= '
hash	:= \#
as-make = $(subst $(hash),\$(hash),$(subst $$,$$$$,$(strip $1)))
as-shell = '$(subst $(squote),'\$(squote)',$1)'

# Say the short form, or under V=1 the command itself, and nothing under -s.
short-options := $(firstword -$(MAKEFLAGS))
ifneq ($(findstring s,$(filter-out --%,$(short-options))),)
say	=
else ifeq ($(V),1)
say	= printf '  %s\n' $(call as-shell,$(strip $(cmd_$1)));
else
say	= printf '  %s\n' $(call as-shell,$(quiet_cmd_$1));
endif

run	= @set -e; $(say) mkdir -p $(@D); $(cmd_$1); \
	printf '%s\n' $(call as-shell,made_by_$@ := $(call as-make,$(cmd_$1))) >$@.cmd
if_changed = $(if $(strip $(filter-out FORCE,$?) \
	$(if $(call same,$(cmd_$1),$(made_by_$@)),,differs)),$(call run,$1),@:)

# ---- Rules ---------------------------------------------------------------

.PHONY: all lib tools tests bench-programs check check-full check-numa bench install uninstall
.PHONY: clean help FORCE
all: lib tools bench-programs
lib: $(lib-so) $(lib-a)
tools: $(addprefix $(O)/,$(all-tool)) $(record-so)
tests: $(test-programs)
bench-programs: $(addprefix $(O)/,$(all-bench))

ifeq ($(C),1)
cmd_sparse = $(CHECK) -Wno-decl $(filter-out -fsanitize=% -Werror,$(c_flags)) $<;
endif

quiet_cmd_cc = CC      $@
      cmd_cc = $(cmd_sparse) $(CC) $(c_flags) -MMD -MP -MF $@.d -c -o $@ $<
$(O)/%.o: %.c FORCE
	$(call if_changed,cc)

quiet_cmd_cxx = CXX     $@
      cmd_cxx = $(CXX) $(cxx_flags) -MMD -MP -MF $@.d -c -o $@ $<
$(O)/%.o: %.cc FORCE
	$(call if_changed,cxx)

# Programs find libnumarena.so.0 beside libnumarena.so, as an installed one would.
quiet_cmd_so = LD      $@
      cmd_so = $(CC) $(so_flags) $(ld_flags) -o $@ $(lib-objs) $(LIB_LIBS) && \
	ln -sf $(notdir $@) $@.$(SOMAJOR)
$(lib-so): $(lib-objs) arena/numarena.map FORCE
	$(call if_changed,so)

quiet_cmd_record_so = LD      $@
      cmd_record_so = $(CC) -shared -Wl,-soname,$(notdir $@) -Wl,-z,nodelete -Wl,-z,relro \
	-Wl,-z,now -Wl,-z,defs $(ld_flags) -o $@ $<
$(O)/libnumarena-record.so: $(O)/tools/record_preload.o FORCE
	$(call if_changed,record_so)

quiet_cmd_ar = AR      $@
      cmd_ar = rm -f $@ && $(AR) cDrs $@ $(lib-objs)
$(lib-a): $(lib-objs) FORCE
	$(call if_changed,ar)

# Test programs link the archive: hidden symbols are in reach, and objects listed
# beside the test (a pretend machine) stand before the library's own.
# The driver is the C++ one where a source is C++.
link-driver = $(if $(filter y,$($(notdir $@)-cxx)),$(CXX),$(CC))
quiet_cmd_link = LD      $@
      cmd_link = $(link-driver) $(ld_flags) -o $@ \
	$(filter %.o,$^) $(filter %.a,$^) $(link-libs) $($(notdir $@)-libs)

quiet_cmd_dso = LD      $@
      cmd_dso = $(CC) -shared $(ld_flags) -o $@ $(filter %.o,$^)

define program-rule
$(O)/$1: $(call prog-objs,$1) $2 FORCE
	$$(call if_changed,link)
$(O)/$1: link-libs := $3
endef
program-rules = $(foreach p,$(sort $1),$(eval $(call program-rule,$p,$2,$3)))

$(call program-rules,$(all-test) $(all-guest),$(O)/tests/tap.o $(lib-a),$(CHECK_LIBS) $(LIB_LIBS))
$(call program-rules,$(all-die) $(all-stress),$(lib-a),$(LIB_LIBS))
$(call program-rules,$(all-tool) $(all-bench) $(all-prog))

$(addprefix $(O)/,$(all-dso:=.so)): $(O)/%.so: $(O)/%.o FORCE
	$(call if_changed,dso)

# ---- Tests ---------------------------------------------------------------

# What a test may read: the output folder, the compilers, the sanitizer if any.
test-env = NUMARENA_BUILD='$(abspath $(O))' NUMARENA_SAN='$(SAN)' CC='$(CC)' CXX='$(CXX)'
prove-cmd = $(test-env) $(PROVE) -j$(JOBS) --timer --exec

check: all tests
	@$(prove-cmd) scripts/tap-run.sh $(run-check)

check-full: all tests
	@$(prove-cmd) scripts/tap-run.sh $(run-check) $(run-full)

# Each with "@machine" for those it is for, unless it was asked for.
empty :=
guest-topology = $(subst $(empty) $(empty),,$(addprefix @,$($(basename $(notdir $1))-topology)))
guest-tests = $(foreach t,$(run-guest),$t$(if $T,,$(call guest-topology,$t)))

# The machines stand where prove expects names of tests: numa.sh gets one of them.  Comments
# are shown: which tests took longest.  A machine runs up to 18 of them.
TOPOLOGY ?= $(shell scripts/numa_guest.sh --list | cut -d ' ' -f 1)
check-numa: all tests
	@NUMARENA_TESTS='$(guest-tests)' TEST_TIMEOUT=$${TEST_TIMEOUT:-1200} \
		$(prove-cmd) 'scripts/tap-run.sh tests/numa.sh' --comments $(TOPOLOGY)

# ---- The rest ------------------------------------------------------------

bench:
	+@scripts/numa_bench.sh

# Where bash, zsh and man look.
bash-dir := $(DATADIR)/bash-completion/completions
zsh-dir  := $(DATADIR)/zsh/site-functions
man-dir  := $(DATADIR)/man

# Each function has a page that leads to the one of all.
functions := $(shell awk '/^ \* numarena_[a-z0-9_]+\(\) - / { sub(/\(\)/, "", $$2); print $$2 }' \
	include/numarena.h)

quiet_cmd_man3 = MAN     $@
      cmd_man3 = awk -v version=$(VERSION) -v date="$$(date -u -r $< +%F)" -f scripts/man3.awk $< >$@
$(O)/numarena.3: include/numarena.h scripts/man3.awk FORCE
	$(call if_changed,man3)

install: lib tools $(O)/numarena.3
	install -d $(addprefix $(DESTDIR),$(LIBDIR)/pkgconfig $(INCLUDEDIR) $(BINDIR) \
		$(bash-dir) $(zsh-dir) $(man-dir)/man1 $(man-dir)/man3 $(man-dir)/man7)
	install -m 755 $(O)/tools/numarena $(DESTDIR)$(BINDIR)/numarena
	install -m 644 tools/completion/numarena.bash $(DESTDIR)$(bash-dir)/numarena
	install -m 644 tools/completion/_numarena $(DESTDIR)$(zsh-dir)/_numarena
	install -m 644 doc/numarena.1 $(DESTDIR)$(man-dir)/man1/numarena.1
	install -m 644 $(O)/numarena.3 $(DESTDIR)$(man-dir)/man3/numarena.3
	for name in $(functions); do \
		echo '.so man3/numarena.3' >$(DESTDIR)$(man-dir)/man3/$$name.3; \
	done
	install -m 644 doc/numarena.7 $(DESTDIR)$(man-dir)/man7/numarena.7
	$(if $(record-so),install -m 755 $(record-so) $(DESTDIR)$(LIBDIR)/libnumarena-record.so)
	install -m 755 $(lib-so) $(DESTDIR)$(LIBDIR)/libnumarena.so.$(VERSION)
	ln -sf libnumarena.so.$(VERSION) $(DESTDIR)$(LIBDIR)/libnumarena.so.$(SOMAJOR)
	ln -sf libnumarena.so.$(SOMAJOR) $(DESTDIR)$(LIBDIR)/libnumarena.so
	install -m 644 $(lib-a) $(DESTDIR)$(LIBDIR)/libnumarena.a
	install -m 644 include/numarena.h include/numarena.hpp $(DESTDIR)$(INCLUDEDIR)
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' \
	    -e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' -e 's|@VERSION@|$(VERSION)|' \
	    scripts/numarena.pc.in >$(DESTDIR)$(LIBDIR)/pkgconfig/numarena.pc
	chmod 644 $(DESTDIR)$(LIBDIR)/pkgconfig/numarena.pc

installed := $(BINDIR)/numarena $(bash-dir)/numarena $(zsh-dir)/_numarena \
	$(man-dir)/man1/numarena.1 $(man-dir)/man7/numarena.7 \
	$(patsubst %,$(man-dir)/man3/%.3,numarena $(functions)) $(INCLUDEDIR)/numarena.h $(INCLUDEDIR)/numarena.hpp \
	$(LIBDIR)/pkgconfig/numarena.pc \
	$(addprefix $(LIBDIR)/libnumarena,.a .so .so.$(SOMAJOR) .so.$(VERSION) -record.so)
uninstall:
	rm -f $(addprefix $(DESTDIR),$(installed))

clean:
	rm -rf $(O)

define help-text
Targets
  all            libraries, command and benchmark programs (default)
  lib            the libraries alone
  check          the tests, under prove (a few minutes)
  check-full     the tests and the long ones
  check-numa     what wants NUMA nodes, on emulated machines that have them
  bench          the benchmark: scripts/numa_bench.sh
  tools          the numarena command, in tools/ of the output folder
  install        libraries, header, pkg-config file, command, manuals and completions;
                 DESTDIR= PREFIX= LIBDIR= INCLUDEDIR= BINDIR= DATADIR=
  uninstall      remove what install put there, by the same
  clean          remove the output folder
  help           this list

Knobs
  O=dir          output folder (build; build/san-SAN; .../debug)
  V=1            show commands
  W=1            more warnings; W=1e makes them errors
  C=1            run sparse on each source that is compiled
  DEBUG=1        assertions and the lock-rank checker
  SAN=address|undefined|thread
                 build with a sanitizer; malloc and the other libc names are left out
  CC=clang       the compiler (gcc); CXX= likewise
  CFLAGS= LDFLAGS=
                 added after the project's own
  T="name ..."   check: only these tests; check-numa: any of check's too
  TOPOLOGY="name ..."
                 check-numa: only these machines, of scripts/numa_guest.sh --list
  JOBS=n         check: tests run at once (2); check-numa: machines
endef
help:
	$(info $(help-text))@:

ifeq ($(filter clean help uninstall,$(MAKECMDGOALS)),)
-include $(build-objs:=.d) $(build-outputs:=.cmd)
endif
