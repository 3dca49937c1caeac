/* SPDX-License-Identifier: MIT */
/* Text that others wrote: names, messages, arguments; and amounts. */

#include "cli.h"

/* Length of the well-formed UTF-8 sequence at s; 0: it is not one. */
static size_t utf8_sequence(const unsigned char *s, size_t n, uint32_t *code)
{
        static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
        const size_t len = s[0] < 0x80   ? 1
                           : s[0] < 0xc2 ? 0
                           : s[0] < 0xe0 ? 2
                           : s[0] < 0xf0 ? 3
                           : s[0] < 0xf5 ? 4
                                         : 0;

        if (len == 0 || len > n)
                return 0;
        *code = len == 1 ? s[0] : s[0] & (0x7fu >> len);
        for (size_t i = 1; i < len; i++) {
                if ((s[i] & 0xc0) != 0x80)
                        return 0;
                *code = *code << 6 | (s[i] & 0x3fu);
        }
        if (*code < least[len] || *code > 0x10ffff || (*code >= 0xd800 && *code < 0xe000))
                return 0;
        return len;
}

/* Invisible characters, and those that change the direction of text: of
 * Unicode 17.0 the categories Cc, Cf, Zl and Zp (surrogates are not valid
 * UTF-8), and the properties Default_Ignorable_Code_Point and
 * Noncharacter_Code_Point, but for the last two of each plane. */
static const struct {
        uint32_t first, last;
} hidden[] = {
        {0x0000, 0x001f},   {0x007f, 0x009f},   {0x00ad, 0x00ad},   {0x034f, 0x034f},
        {0x0600, 0x0605},   {0x061c, 0x061c},   {0x06dd, 0x06dd},   {0x070f, 0x070f},
        {0x0890, 0x0891},   {0x08e2, 0x08e2},   {0x115f, 0x1160},   {0x17b4, 0x17b5},
        {0x180b, 0x180f},   {0x200b, 0x200f},   {0x2028, 0x202e},   {0x2060, 0x206f},
        {0x3164, 0x3164},   {0xfdd0, 0xfdef},   {0xfe00, 0xfe0f},   {0xfeff, 0xfeff},
        {0xffa0, 0xffa0},   {0xfff0, 0xfffb},   {0x110bd, 0x110bd}, {0x110cd, 0x110cd},
        {0x13430, 0x1343f}, {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff},
};

static int is_hidden(uint32_t code)
{
        for (size_t i = 0; i < sizeof hidden / sizeof *hidden && hidden[i].first <= code; i++)
                if (code <= hidden[i].last)
                        return 1;
        return (code & 0xfffe) == 0xfffe;
}

void cli_put_text(FILE *out, const void *bytes, size_t len)
{
        const unsigned char *s = bytes;
        uint32_t code;

        while (len > 0) {
                size_t n = utf8_sequence(s, len, &code);

                if (*s == '\\') {
                        fputs("\\\\", out);
                } else if (n != 0 && !is_hidden(code)) {
                        fwrite(s, 1, n, out);
                } else {
                        n = 1;
                        fprintf(out, "\\x%02x", *s);
                }
                s += n;
                len -= n;
        }
}

static void put_json_code(FILE *out, uint32_t code)
{
        if (code < 0x10000)
                fprintf(out, "\\u%04x", code);
        else /* a pair of surrogates */
                fprintf(out, "\\u%04x\\u%04x", 0xd7c0 + (code >> 10), 0xdc00 + (code & 0x3ff));
}

void cli_put_json(FILE *out, const void *bytes, size_t len)
{
        const unsigned char *s = bytes;
        uint32_t code;

        fputc('"', out);
        while (len > 0) {
                const size_t n = utf8_sequence(s, len, &code);

                if (n == 0)
                        fputs("\\ufffd", out);
                else if (code == '"' || code == '\\')
                        fprintf(out, "\\%c", *s);
                else if (is_hidden(code))
                        put_json_code(out, code);
                else
                        fwrite(s, 1, n, out);
                s += n ? n : 1;
                len -= n ? n : 1;
        }
        fputc('"', out);
}

void cli_put_hex(FILE *out, const void *bytes, size_t len)
{
        const unsigned char *s = bytes;

        for (size_t i = 0; i < len; i++)
                fprintf(out, "%02x", s[i]);
}

int cli_is_utf8(const void *bytes, size_t len)
{
        const unsigned char *s = bytes;
        uint32_t code;

        while (len > 0) {
                const size_t n = utf8_sequence(s, len, &code);

                if (n == 0)
                        return 0;
                s += n;
                len -= n;
        }
        return 1;
}

/* Scales to the largest unit that gives at least 1. */
static double scale(double bytes, char *unit)
{
        static const char units[] = " KMGTPE";
        size_t i = 0;

        while (bytes >= 1024 && i < sizeof units - 2) {
                bytes /= 1024;
                i++;
        }
        *unit = units[i];
        return bytes;
}

const char *cli_amount(char text[16], double bytes)
{
        char unit;
        const double n = scale(bytes, &unit);

        if (unit == ' ')
                snprintf(text, 16, "%.0f", n);
        else
                snprintf(text, 16, n < 10 ? "%.1f%c" : "%.0f%c", n, unit);
        return text;
}

const char *cli_bytes(char text[16], double bytes)
{
        char unit;
        const double n = scale(bytes, &unit);

        if (unit == ' ')
                snprintf(text, 16, "%.0f B", n);
        else
                snprintf(text, 16, n < 10 ? "%.1f %ciB" : "%.0f %ciB", n, unit);
        return text;
}
