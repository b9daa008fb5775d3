# Prints a JSON document as lines of PATH, tab, VALUE: path elements joined by dots, no tab or line break in values.
function fail() { print "instance: bad JSON near " substr(text, 1, 40) > "/dev/stderr"; exit 1 }
function blank() { sub(/^[ \t\r\n]+/, "", text) }
function take(n,    head) { head = substr(text, 1, n); text = substr(text, n + 1); return head }
function word(    raw) {
    if (!match(text, /^"([^"\\]|\\.)*"/)) fail()
    raw = take(RLENGTH)
    raw = substr(raw, 2, length(raw) - 2)
    if (index(raw, "\\")) {
        gsub(/\\[nrtbf]/, " ", raw)
        gsub(/\\\//, "/", raw)
        gsub(/\\"/, "\"", raw)
        gsub(/\\\\/, "\\", raw)
    }
    sub(/ +$/, "", raw)
    return raw
}
function value(path,    first, key, n) {
    blank()
    first = substr(text, 1, 1)
    if (first == "\"") { print path "\t" word(); return }
    if (first != "{" && first != "[") {
        if (!match(text, /^[-+.a-z0-9A-Z]+/)) fail()
        print path "\t" take(RLENGTH)
        return
    }
    take(1)
    blank()
    if (text ~ /^[]}]/) { take(1); return }
    for (n = 0; ; n++) {
        key = n
        if (first == "{") { blank(); key = word(); blank(); if (take(1) != ":") fail() }
        value(path (path == "" ? "" : ".") key)
        blank()
        if (text ~ /^,/) { take(1); continue }
        if (text ~ /^[]}]/) { take(1); return }
        fail()
    }
}
{ text = text $0 "\n" }
END { value("") }
