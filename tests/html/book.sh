# SPDX-License-Identifier: MIT
#
# book.sh: tools/links finds what is wrong with a book, and tools/book refuses pages
# that lead nowhere. Last line: `N passed, N failed`.
set +e -u
. "$TOP/tests/tools/lib.sh"

# ---- tools/links
# site FILE TEXT: a book of two good pages, in which FILE has this text in addition.
site() {
        rm -rf site && mkdir -p site/part
        echo '<p><a href="part/two.html#there">two</a></p>' >site/index.html
        echo '<h2 id="there">two</h2><a href="../index.html">one</a>' >site/part/two.html
        printf '%s\n' "$2" >>"site/$1"
}
good() {
        site index.html "$1"
        "$TOP/tools/links" site >links.log 2>&1
}
# finds TEXT FAULT: this text is a fault, and is named.
finds() {
        ! good "$1" && grep -q "$2" links.log
}
check 'a good book' good '<p>nothing</p>'
check 'an address elsewhere' good '<a href="https://example.org/x#y">x</a>'
check 'a page that is not there' finds '<a href="none.html">x</a>' 'leads nowhere'
check 'an anchor that is not there' finds '<a href="part/two.html#none">x</a>' 'no such anchor'
check 'an anchor of the page itself' finds '<a href="#none">x</a>' 'no such anchor'
check 'a picture that is not there' finds '<img src="none.svg">' 'leads nowhere'
check 'a picture from elsewhere' finds '<img src="https://example.org/x.svg">' 'asks for'
check 'a style from elsewhere' finds '<link rel="stylesheet" href="//example.org/x">' 'asks for'
check 'a script' finds '<script>x()</script>' 'has a script'
check 'an id twice' finds '<p id="a"><p id="a">' 'is there twice'
lonely() {
        site index.html ''
        echo '<p>alone</p>' >site/alone.html
        ! "$TOP/tools/links" site >links.log && grep -q 'alone.html: no way leads here' links.log
}
check 'a page that nothing leads to' lonely

# ---- tools/book: in a small tree of its own
tree() {
        rm -rf tree && mkdir -p tree/tools tree/doc/book tree/include tree/man
        cp "$TOP/tools/book" tree/tools/ && cp "$TOP/doc/book/book.css" tree/doc/book/
        cp "$TOP/include/sluice.h" tree/include/
        printf '# One\ndoc/book/index.md\ndoc/*.md\n' >tree/doc/book/contents
        printf '# First\n\n[two](../two.md#a-part)\n\n[x.c](x.c)\n' >tree/doc/book/index.md
        printf '# Second\n\n## A part\n\n%s\n' "$1" >tree/doc/two.md
        printf '/* SPDX-License-Identifier: MIT */\nint x = 1 < 2;\n' >tree/doc/book/x.c
        printf '.TH page 1\n.SH NAME\npage - one\n.SH SEE ALSO\n\\fBother\\fR(3)\n' >tree/man/page.1
        ln -s page.1 tree/man/other.3
}
makes() {
        tree "$1"
        (cd tree && tools/book -d deps out man >../book.log 2>&1)
}
refuses() {
        ! makes "$1" && grep -q "$2" book.log
}
# shows FILE TEXT: a page has this text in it.
shows() {
        grep -qF -- "$2" "tree/out/$1"
}
check 'a book is made' makes 'nothing'
check '... without a fault' "$TOP/tools/links" tree/out
version=$("$OUT/sluice" --version | awk '{ print $2 }')
check '... the version is that of the headers' shows index.html "<span>$version</span>"
check '... a program stands in the page' shows index.html 'class="sourceCode c"'
! shows index.html SPDX
check '... without its licence' [ $? -eq 0 ]
check '... links lead to pages' shows index.html 'href="doc/two.html#a-part"'
check '... next' shows index.html 'rel="next" href="doc/two.html"'
check '... previous' shows doc/two.html 'rel="prev" href="../index.html"'
check '... a name of a manual page leads to it' \
        shows man/page.1.html 'href="page.1.html"><b>other</b>(3)'
check '... what was read is known' grep -q 'doc/two.md' tree/deps
programs() {
        makes '<table><tr><td>

```c
int y;
```

</td><td>

```c
int z;
```

</td></tr></table>' && "$TOP/tools/links" tree/out && shows doc/two.html '<div class="wide columns">' &&
                [ "$(grep -c 'class="sourceCode c"' tree/out/doc/two.html)" -eq 2 ]
}
check 'programs side by side are columns' programs
words() {
        makes '| a | b |
|---|---|
| 1 | 2 |' && shows doc/two.html '<div class="wide"><table>'
}
check '... a table of words is not' words
check 'a link to no file' refuses '[x](none.md)' 'none.md leads nowhere'
untitled() {
        tree nothing
        echo 'no title' >tree/doc/two.md
        ! (cd tree && tools/book out man) 2>book.log && grep -q 'two.md: has no title' book.log
}
check 'a page without a title' untitled
without_manual() {
        tree nothing
        rm tree/man/*
        ! (cd tree && tools/book out man) 2>book.log && grep -q 'no manual pages' book.log
}
check 'no manual pages' without_manual
finish
