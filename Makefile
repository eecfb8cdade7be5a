# The C libraries, for programs that are not in Rust.
#
#   make                        builds them in target/capi
#   make install                into $(DESTDIR)$(PREFIX), stripped
#   make install-debug          what debuggers read, apart from the libraries
#   make uninstall
#
# LIBRARIES names what is installed. The first two stand in for those of MIT krb5 and GNU GSS: where they are found first, programs of
# the host run on them. The third has a name of its own.

LIBRARIES = gssapi_krb5 gss baton-gssapi

PREFIX = /usr/local
LIBDIR = $(PREFIX)/lib
INCLUDEDIR = $(PREFIX)/include
DATADIR = $(PREFIX)/share
DESTDIR =

CARGO = cargo
INSTALL = install
STRIP = strip
OBJCOPY = objcopy

built := $(if $(CARGO_TARGET_DIR),$(CARGO_TARGET_DIR),target)/capi

soname_gssapi_krb5 = libgssapi_krb5.so.2
soname_gss = libgss.so.3
soname_baton-gssapi = libbaton-gssapi.so.1
headers_mit = gssapi.h gssapi/gssapi.h gssapi/gssapi_alloc.h gssapi/gssapi_ext.h gssapi/gssapi_generic.h gssapi/gssapi_krb5.h gssapi/mechglue.h
headers_gssapi_krb5 = $(headers_mit)
headers_gss = gss.h gss/api.h gss/ext.h gss/krb5.h gss/krb5-ext.h
headers_baton-gssapi = $(headers_mit)
packages_gssapi_krb5 = krb5-gssapi mit-krb5-gssapi
packages_gss = gss
packages_baton-gssapi = baton

sonames = $(foreach library,$(LIBRARIES),$(soname_$(library)))
links = $(foreach library,$(LIBRARIES),lib$(library).so)
headers = $(sort $(foreach library,$(LIBRARIES),$(headers_$(library))))
packages = $(addsuffix .pc,$(foreach library,$(LIBRARIES),$(packages_$(library))))
# Manual pages and the like, as they are found when this runs.
shared = $(if $(wildcard $(built)/share),$(shell cd $(built)/share && find . -type f))

all:
	$(CARGO) xtask capi

install: all
	$(INSTALL) -d $(DESTDIR)$(LIBDIR)/pkgconfig
	for library in $(sonames); do \
	  $(INSTALL) -m 644 $(built)/lib/$$library $(DESTDIR)$(LIBDIR)/$$library && \
	  $(STRIP) --strip-unneeded $(DESTDIR)$(LIBDIR)/$$library || exit 1; \
	done
	$(foreach library,$(LIBRARIES),ln -sf $(soname_$(library)) $(DESTDIR)$(LIBDIR)/lib$(library).so;)
	for header in $(headers); do \
	  $(INSTALL) -D -m 644 $(built)/include/$$header $(DESTDIR)$(INCLUDEDIR)/$$header || exit 1; \
	done
	for package in $(packages); do \
	  sed -e 's|^prefix=.*|prefix=$(PREFIX)|' -e 's|^libdir=.*|libdir=$(LIBDIR)|' -e 's|^includedir=.*|includedir=$(INCLUDEDIR)|' \
	    $(built)/lib/pkgconfig/$$package > $(DESTDIR)$(LIBDIR)/pkgconfig/$$package || exit 1; \
	done
	for page in $(shared); do \
	  $(INSTALL) -D -m 644 $(built)/share/$$page $(DESTDIR)$(DATADIR)/$$page || exit 1; \
	done

# Debuggers look for them beside the library, in .debug.
install-debug: install
	$(INSTALL) -d $(DESTDIR)$(LIBDIR)/.debug
	for library in $(sonames); do \
	  $(OBJCOPY) --only-keep-debug $(built)/lib/$$library $(DESTDIR)$(LIBDIR)/.debug/$$library.debug && \
	  $(OBJCOPY) --add-gnu-debuglink=$(DESTDIR)$(LIBDIR)/.debug/$$library.debug $(DESTDIR)$(LIBDIR)/$$library || exit 1; \
	done

uninstall:
	rm -f $(addprefix $(DESTDIR)$(LIBDIR)/,$(sonames) $(links))
	rm -f $(addsuffix .debug,$(addprefix $(DESTDIR)$(LIBDIR)/.debug/,$(sonames)))
	rm -f $(addprefix $(DESTDIR)$(LIBDIR)/pkgconfig/,$(packages))
	rm -f $(addprefix $(DESTDIR)$(INCLUDEDIR)/,$(headers))
	rm -f $(addprefix $(DESTDIR)$(DATADIR)/,$(shared))

.PHONY: all install install-debug uninstall
