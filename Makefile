# freshet: build, install, test, demonstrate.
#
#	make				build
#	make install		into the PostgreSQL of PG_CONFIG (as root, or with sudo)
#	make check			build, and run every test on private servers
#	make demo			build, and watch sinks follow a stream of orders
#	make demo-stop		end the demo's server and remove its files
#	make setup			only install what is missing to do the above
#	make installcheck	the regression and isolation tests on a running server
#						that is set up for freshet
#
# Variables: PG_CONFIG=/path/to/pg_config chooses the PostgreSQL; TESTS="a b"
# chooses tests by name; WERROR=-Werror makes errors of warnings, as check does.
#
# The first group of targets must work on a machine that has neither
# PostgreSQL nor a compiler yet, so they are scripts, and PGXS is read only
# for the others.  (PGXS has a "check" of its own, which only refuses.)

SCRIPT_TARGETS = setup check check-house check-regress check-flushed check-isolation check-examples check-tap \
	demo demo-stop

ifneq ($(filter $(SCRIPT_TARGETS),$(MAKECMDGOALS)),)

# Empty means: let the scripts choose.
export PG_CONFIG TESTS WERROR

PGXS_TARGETS := $(filter-out $(SCRIPT_TARGETS),$(MAKECMDGOALS))

.PHONY: $(SCRIPT_TARGETS) $(PGXS_TARGETS)
.NOTPARALLEL:

setup:
	@bash scripts/setup.sh

check:
	@bash scripts/check.sh house regress flushed isolation examples tap

check-house check-regress check-flushed check-isolation check-examples check-tap:
	@bash scripts/check.sh $(patsubst check-%,%,$@)

demo:
	@bash scripts/demo.sh start

demo-stop:
	@bash scripts/demo.sh stop

$(PGXS_TARGETS):
	@$(MAKE) --no-print-directory $@

else

MODULE_big = freshet
OBJS = $(patsubst %.c,%.o,$(sort $(filter-out src/tail/%,$(wildcard src/*.c src/*/*.c))))
EXTENSION = freshet
DATA = freshet--0.1.sql
PGFILEDESC = "freshet - tables kept equal to queries"

# The client.  SCRIPTS_built is what PGXS installs into the programs' directory.
TAIL = bin/freshet-tail
TAIL_OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/tail/*.c)))
SCRIPTS_built = $(TAIL)

# A test named setup makes what the others use.
ALL_REGRESS := $(sort $(patsubst sql/%.sql,%,$(wildcard sql/*.sql)))
REGRESS = $(filter setup,$(ALL_REGRESS)) $(filter-out setup,$(ALL_REGRESS))
REGRESS_OPTS = --load-extension=freshet
ISOLATION = $(sort $(patsubst specs/%.spec,%,$(wildcard specs/*.spec)))
ISOLATION_OPTS = --load-extension=freshet
TAP_TESTS = $(if $(wildcard t/*.pl),1)

# Warnings are errors for those who develop (make check), not for those who
# build with a compiler that nobody has tried.
WERROR ?=
PG_CPPFLAGS = -I$(srcdir)/src -MMD -MP
PG_CFLAGS = -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare \
	-Wno-missing-field-initializers -Wno-clobbered $(WERROR)
# Its own functions, whatever another library calls its own; see the map.
EXPORTS = $(srcdir)/src/exports.map
SHLIB_LINK = -lcjson -Wl,-Bsymbolic -Wl,--version-script=$(EXPORTS)

# Bitcode would need clang, and serves only the inlining of functions into
# queries, of which there are none here.
override with_llvm := no

EXTRA_CLEAN = $(OBJS:.o=.d) $(TAIL_OBJS) $(TAIL_OBJS:.o=.d) src/.built-for tmp_check

ifeq ($(PG_CONFIG),)
override PG_CONFIG := pg_config
endif
PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)
ifeq ($(wildcard $(PGXS)),)
$(error PostgreSQL's build files are missing: run "make setup", or install \
	postgresql-server-dev-NN, or give PG_CONFIG=/path/to/pg_config)
endif
include $(PGXS)

# Until PostgreSQL 16, libpq_pgport has the two static libraries, too.
TAIL_LIBS = -L$(pkglibdir) -lpgcommon -lpgport $(libpq_pgport) -lcjson

$(TAIL): $(TAIL_OBJS)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $^ $(LDFLAGS) $(LDFLAGS_EX) $(TAIL_LIBS) -o $@

VERSION := $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" freshet.control)
$(TAIL_OBJS): override CPPFLAGS += -I$(libpq_srcdir) -DFRESHET_VERSION='"$(VERSION)"'
src/tail/options.o: freshet.control

# PGXS looks for it under the name that it has here.
uninstall: uninstall-tail
.PHONY: uninstall-tail
uninstall-tail:
	rm -f '$(DESTDIR)$(bindir)/$(notdir $(TAIL))'

$(shlib): $(EXPORTS)

# A header that changes rebuilds what includes it.
-include $(OBJS:.o=.d) $(TAIL_OBJS:.o=.d)

# So does another PostgreSQL, or another minor version of the same.
BUILT_FOR := $(shell $(PG_CONFIG) --version --configure --includedir-server | cksum)
ifneq ($(BUILT_FOR),$(shell cat src/.built-for 2>/dev/null))
$(shell echo "$(BUILT_FOR)" >src/.built-for)
endif
$(OBJS) $(TAIL_OBJS): src/.built-for

endif
