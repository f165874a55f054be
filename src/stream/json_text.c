/*-------------------------------------------------------------------------
 *
 * json_text.c
 *		The pieces of JSON text: strings, documents, numbers, positions.
 *
 * Strings are looked through eight bytes at a time, and runs that need no
 * escape are copied whole.  Every encoding that a database can have leaves the
 * bytes of ASCII to ASCII, so bytes may be looked at one by one.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "json_text.h"

/* Digits of 0 to 99, two each. */
const char	json_two_digits[] =
"00010203040506070809" "10111213141516171819" "20212223242526272829"
"30313233343536373839" "40414243444546474849" "50515253545556575859"
"60616263646566676869" "70717273747576777879" "80818283848586878889"
"90919293949596979899";

/*
 * Strings
 */

/* Is one of eight bytes a control character, a quote or a backslash? */
static inline bool
needs_escape8(const char *data)
{
	const uint64 ones = UINT64CONST(0x0101010101010101);
	const uint64 highs = UINT64CONST(0x8080808080808080);
	uint64		word;
	uint64		quote;
	uint64		backslash;
	uint64		found;

	memcpy(&word, data, sizeof(word));
	quote = word ^ (ones * '"');
	backslash = word ^ (ones * '\\');

	/* a byte less than n, n <= 128: the borrow reaches its high bit */
	found = (word - ones * 0x20) & ~word;
	found |= (quote - ones) & ~quote;
	found |= (backslash - ones) & ~backslash;
	return (found & highs) != 0;
}

static inline bool
needs_escape(unsigned char c)
{
	return c < 0x20 || c == '"' || c == '\\';
}

static void
put_escaped(StringInfo out, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	char		buf[6] = "\\u00";

	switch (c)
	{
		case '"':
			json_put_literal(out, "\\\"");
			break;
		case '\\':
			json_put_literal(out, "\\\\");
			break;
		case '\b':
			json_put_literal(out, "\\b");
			break;
		case '\f':
			json_put_literal(out, "\\f");
			break;
		case '\n':
			json_put_literal(out, "\\n");
			break;
		case '\r':
			json_put_literal(out, "\\r");
			break;
		case '\t':
			json_put_literal(out, "\\t");
			break;
		default:
			buf[4] = hex[c >> 4];
			buf[5] = hex[c & 15];
			json_put(out, buf, 6);
			break;
	}
}

void
json_put_string(StringInfo out, const char *data, int len)
{
	int			start = 0;
	int			i = 0;

	json_put_char(out, '"');
	for (;;)
	{
		while (i + 8 <= len && !needs_escape8(data + i))
			i += 8;
		while (i < len && !needs_escape((unsigned char) data[i]))
			i++;
		if (i > start)
			json_put(out, data + start, i - start);
		if (i == len)
			break;
		put_escaped(out, (unsigned char) data[i]);
		start = ++i;
	}
	json_put_char(out, '"');
}

void
json_put_cstring(StringInfo out, const char *string)
{
	json_put_string(out, string, strlen(string));
}

/*
 * A line break is legal between the tokens of a document alone, where a space
 * does as well.
 */
void
json_put_document(StringInfo out, const char *data, int len)
{
	int			start = out->len;

	json_put(out, data, len);
	for (char *c = out->data + start; *c != '\0'; c++)
	{
		if (*c == '\n' || *c == '\r')
			*c = ' ';
	}
}

/*
 * Numbers
 */

void
json_put_uint64(StringInfo out, uint64 value)
{
	char		buf[20];
	char	   *end = buf + sizeof(buf);
	char	   *p = end;

	while (value >= 100)
	{
		p -= 2;
		memcpy(p, json_two_digits + 2 * (value % 100), 2);
		value /= 100;
	}
	if (value >= 10)
	{
		p -= 2;
		memcpy(p, json_two_digits + 2 * value, 2);
	}
	else
		*--p = '0' + value;
	json_put(out, p, end - p);
}
