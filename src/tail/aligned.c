/*-------------------------------------------------------------------------
 *
 * aligned.c
 *		Changes as rows of tables.
 *
 * Rows of one table that follow each other are collected into a page, so that
 * their columns can be made as wide as the widest of them.  A page ends with
 * the transaction, with a row of another table, or when it is large.  Widths
 * are remembered per table and only grow; the header is printed when the
 * table is another than before or its columns have changed, so a quiet stream
 * of one sink reads as one table.
 *
 * What a row looks like is known from the rows alone.  The columns of a table
 * are those of its last whole row; a row before a change may have fewer (the
 * key's), and what it does not have stays blank.
 *
 * Values come from strangers and go to a terminal: control characters are
 * shown by escapes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include "libpq-fe.h"

#include "aligned.h"
#include "lib/stringinfo.h"

#define PAGE_ROWS		1000
#define PAGE_BYTES		(4 * 1024 * 1024)

/* A value wider than this sticks out, lest it widen all rows to come. */
#define MAX_PADDED		60

/* What stands before a row. */
#define MARK_INSERT		'+'
#define MARK_DELETE		'-'
#define MARK_OLD		'<'
#define MARK_NEW		'>'

typedef struct Column
{
	char	   *name;
	char	   *title;			/* the name as it is shown */
	int			title_width;
	int			width;
	bool		numeric;		/* has had a number: align to the right */
} Column;

typedef struct Table
{
	char	   *schema;
	char	   *name;
	Column	   *columns;
	int			n_columns;
	struct Table *next;
} Table;

/* A value as it is shown; text is NULL where the row has none. */
typedef struct Cell
{
	char	   *text;
	int			width;
} Cell;

typedef struct Row
{
	char		mark;
	int			n_cells;
	Cell	   *cells;
} Row;

struct Aligned
{
	FILE	   *out;
	const char *null_text;
	int			encoding;
	Table	   *tables;
	Table	   *shown;			/* whose header is above, and still true */
	bool		anything;		/* something is above */
	StringInfoData line;

	/* the page */
	Table	   *table;
	Row			rows[PAGE_ROWS];
	int			n_rows;
	size_t		bytes;
};

Aligned *
aligned_create(FILE *out, const char *null_text)
{
	Aligned    *aligned = pg_malloc0(sizeof(Aligned));

	aligned->out = out;
	aligned->null_text = null_text;
	aligned->encoding = pg_char_to_encoding("UTF8");	/* the stream's */
	initStringInfo(&aligned->line);
	return aligned;
}

/* ---------------------------------------------------------------------
 * Text for the terminal
 * ---------------------------------------------------------------------
 */

/*
 * Append the escapes of bytes that cannot be shown; returns their width.
 */
static int
append_escaped(StringInfo buf, const char *bytes, int len)
{
	int			before = buf->len;

	for (int i = 0; i < len; i++)
	{
		switch (bytes[i])
		{
			case '\n':
				appendStringInfoString(buf, "\\n");
				break;
			case '\r':
				appendStringInfoString(buf, "\\r");
				break;
			case '\t':
				appendStringInfoString(buf, "\\t");
				break;
			default:
				appendStringInfo(buf, "\\x%02X", (unsigned char) bytes[i]);
		}
	}
	return buf->len - before;
}

/*
 * Text that can be shown, in new memory, and how many columns of the
 * terminal it takes.
 */
static Cell
displayed(Aligned *aligned, const char *text)
{
	StringInfoData buf;
	Cell		cell;

	initStringInfo(&buf);
	cell.width = 0;
	while (*text)
	{
		int			len = PQmblen(text, aligned->encoding);
		int			available = strnlen(text, len);
		int			width = available < len ? -1 : PQdsplen(text, aligned->encoding);

		if (width < 0)
			cell.width += append_escaped(&buf, text, available);
		else
		{
			appendBinaryStringInfo(&buf, text, available);
			cell.width += width;
		}
		text += available;
	}
	cell.text = buf.data;
	return cell;
}

/*
 * A value as it is shown.
 */
static Cell
displayed_value(Aligned *aligned, JsonText value)
{
	char	   *text;
	Cell		cell;

	if (json_text_is(value, "null"))
		return displayed(aligned, aligned->null_text);
	text = json_text_string(value);
	cell = displayed(aligned, text);
	pfree(text);
	return cell;
}

/* ---------------------------------------------------------------------
 * Tables
 * ---------------------------------------------------------------------
 */

static Table *
find_table(Aligned *aligned, const char *schema, const char *name)
{
	Table	   *table;

	for (table = aligned->tables; table != NULL; table = table->next)
	{
		if (strcmp(table->name, name) == 0 && strcmp(table->schema, schema) == 0)
			return table;
	}
	table = pg_malloc0(sizeof(Table));
	table->schema = pg_strdup(schema);
	table->name = pg_strdup(name);
	table->next = aligned->tables;
	aligned->tables = table;
	return table;
}

/*
 * The number of a column, or -1.  It is probably the hint.
 */
static int
find_column(Table *table, const char *name, int hint)
{
	if (hint < table->n_columns && strcmp(name, table->columns[hint].name) == 0)
		return hint;
	for (int i = 0; i < table->n_columns; i++)
	{
		if (strcmp(name, table->columns[i].name) == 0)
			return i;
	}
	return -1;
}

static void
add_column(Aligned *aligned, Table *table, const char *name)
{
	Cell		title = displayed(aligned, name);
	Column	   *column;

	table->columns = pg_realloc(table->columns, (table->n_columns + 1) * sizeof(Column));
	column = &table->columns[table->n_columns++];
	column->name = pg_strdup(name);
	column->title = title.text;
	column->title_width = column->width = title.width;
	column->numeric = false;
	if (aligned->shown == table)
		aligned->shown = NULL;
}

/*
 * Take out the columns that are not in the list.
 */
static void
remove_columns(Aligned *aligned, Table *table, char **names, int n_names)
{
	int			kept = 0;

	/* rows of the page have cells by the numbers of before */
	aligned_flush(aligned);
	if (aligned->shown == table)
		aligned->shown = NULL;
	for (int c = 0; c < table->n_columns; c++)
	{
		Column		column = table->columns[c];
		int			i = 0;

		while (i < n_names && strcmp(names[i], column.name) != 0)
			i++;
		if (i < n_names)
			table->columns[kept++] = column;
		else
		{
			pfree(column.name);
			pfree(column.title);
		}
	}
	table->n_columns = kept;
}

/*
 * Make the table's columns those of a row.  If the row is whole, columns that
 * it does not have are gone.
 */
static void
fit_columns(Aligned *aligned, Table *table, char **names, int n_names, bool whole)
{
	int			known = 0;

	for (int i = 0; i < n_names; i++)
	{
		if (find_column(table, names[i], i) >= 0)
			known++;
	}
	if (whole && known < table->n_columns)
		remove_columns(aligned, table, names, n_names);
	if (known == n_names)
		return;
	for (int i = 0; i < n_names; i++)
	{
		if (find_column(table, names[i], i) < 0)
			add_column(aligned, table, names[i]);
	}
}

/* ---------------------------------------------------------------------
 * Pages
 * ---------------------------------------------------------------------
 */

static void
put_spaces(StringInfo line, int n)
{
	while (n-- > 0)
		appendStringInfoChar(line, ' ');
}

static void
put_cell(StringInfo line, const Column *column, const char *text, int width)
{
	appendStringInfoString(line, "| ");
	if (column->numeric)
		put_spaces(line, column->width - width);
	appendStringInfoString(line, text);
	if (!column->numeric)
		put_spaces(line, column->width - width);
	appendStringInfoChar(line, ' ');
}

/*
 * Write the line, without blanks at its end.
 */
static void
put_line(Aligned *aligned)
{
	StringInfo	line = &aligned->line;

	while (line->len > 0 && line->data[line->len - 1] == ' ')
		line->len--;
	fwrite(line->data, 1, line->len, aligned->out);
	putc('\n', aligned->out);
	resetStringInfo(line);
	aligned->anything = true;
}

/*
 * Begin a paragraph with the name of a table.
 */
static void
put_table_name(Aligned *aligned, Table *table, const char *remark)
{
	Cell		schema = displayed(aligned, table->schema);
	Cell		name = displayed(aligned, table->name);

	if (aligned->anything)
		put_line(aligned);
	appendStringInfo(&aligned->line, "%s.%s%s", schema.text, name.text, remark);
	put_line(aligned);
	pfree(schema.text);
	pfree(name.text);
}

static void
put_header(Aligned *aligned, Table *table)
{
	StringInfo	line = &aligned->line;

	put_table_name(aligned, table, "");
	appendStringInfoString(line, "   ");
	for (int i = 0; i < table->n_columns; i++)
		put_cell(line, &table->columns[i], table->columns[i].title,
				 table->columns[i].title_width);
	put_line(aligned);
	appendStringInfoString(line, "---");
	for (int i = 0; i < table->n_columns; i++)
	{
		appendStringInfoChar(line, '+');
		for (int j = 0; j < table->columns[i].width + 2; j++)
			appendStringInfoChar(line, '-');
	}
	put_line(aligned);
	aligned->shown = table;
}

static void
put_row(Aligned *aligned, Table *table, Row *row)
{
	StringInfo	line = &aligned->line;

	appendStringInfo(line, " %c ", row->mark);
	for (int i = 0; i < table->n_columns; i++)
	{
		bool		present = i < row->n_cells && row->cells[i].text != NULL;

		put_cell(line, &table->columns[i], present ? row->cells[i].text : "",
				 present ? row->cells[i].width : 0);
	}
	put_line(aligned);
}

/*
 * Widen columns for the rows of the page.
 */
static void
widen_columns(Aligned *aligned)
{
	for (int r = 0; r < aligned->n_rows; r++)
	{
		Row		   *row = &aligned->rows[r];

		for (int i = 0; i < row->n_cells; i++)
		{
			Column	   *column = &aligned->table->columns[i];
			int			width = Min(row->cells[i].width, MAX_PADDED);

			if (row->cells[i].text != NULL && width > column->width)
			{
				column->width = width;
				aligned->shown = NULL;
			}
		}
	}
}

/*
 * Print the page.
 */
void
aligned_flush(Aligned *aligned)
{
	if (aligned->n_rows == 0)
		return;
	widen_columns(aligned);
	if (aligned->shown != aligned->table)
		put_header(aligned, aligned->table);
	for (int r = 0; r < aligned->n_rows; r++)
	{
		Row		   *row = &aligned->rows[r];

		put_row(aligned, aligned->table, row);
		for (int i = 0; i < row->n_cells; i++)
		{
			if (row->cells[i].text != NULL)
				pfree(row->cells[i].text);
		}
		pg_free(row->cells);
	}
	aligned->n_rows = 0;
	aligned->bytes = 0;
}

/*
 * Take a row apart: names and values of its members, and then of the columns
 * that the line says are unchanged.  Returns their number; the arrays are to
 * be freed with what the names point to.
 */
static int
split_row(Aligned *aligned, JsonText text, const cJSON *unchanged, char ***names, Cell **cells,
		  bool **numeric)
{
	JsonMembers members;
	const cJSON *item;
	int			n = cJSON_GetArraySize(unchanged);

	json_members_begin(&members, text);
	while (json_members_next(&members))
		n++;
	*names = pg_malloc((n + 1) * sizeof(char *));
	*cells = pg_malloc((n + 1) * sizeof(Cell));
	*numeric = pg_malloc0((n + 1) * sizeof(bool));

	n = 0;
	json_members_begin(&members, text);
	while (json_members_next(&members))
	{
		(*numeric)[n] = strchr("-0123456789", members.value.start[0]) != NULL;
		(*cells)[n] = displayed_value(aligned, members.value);
		(*names)[n++] = json_text_string(members.name);
	}
	cJSON_ArrayForEach(item, unchanged)
	{
		if (!cJSON_IsString(item))
			continue;
		(*cells)[n] = displayed(aligned, "(unchanged)");
		(*names)[n++] = pg_strdup(item->valuestring);
	}
	return n;
}

/*
 * Add a row to the page.
 */
static void
add_row(Aligned *aligned, Table *table, char mark, JsonText text, const cJSON *unchanged)
{
	bool		whole = mark == MARK_INSERT || mark == MARK_NEW;
	char	  **names;
	Cell	   *cells;
	bool	   *numeric;
	int			n = split_row(aligned, text, unchanged, &names, &cells, &numeric);
	Row		   *row;

	if (aligned->table != table || aligned->n_rows == PAGE_ROWS || aligned->bytes > PAGE_BYTES)
		aligned_flush(aligned);
	aligned->table = table;
	fit_columns(aligned, table, names, n, whole);

	row = &aligned->rows[aligned->n_rows++];
	row->mark = mark;
	row->n_cells = table->n_columns;
	row->cells = pg_malloc0((table->n_columns + 1) * sizeof(Cell));
	for (int i = 0; i < n; i++)
	{
		int			c = find_column(table, names[i], i);

		if (numeric[i] && !table->columns[c].numeric)
		{
			table->columns[c].numeric = true;
			if (aligned->shown == table)
				aligned->shown = NULL;
		}
		pg_free(row->cells[c].text);
		row->cells[c] = cells[i];
		aligned->bytes += strlen(cells[i].text);
		pg_free(names[i]);
	}
	pg_free(names);
	pg_free(cells);
	pg_free(numeric);
}

static void
put_truncate(Aligned *aligned, Table *table, Message *message)
{
	bool		cascade = cJSON_IsTrue(message_member(message, "cascade"));
	bool		restart = cJSON_IsTrue(message_member(message, "restart_identity"));
	char	   *remark = psprintf(": truncated%s%s", cascade ? ", cascade" : "",
								  restart ? ", restart identity" : "");

	aligned_flush(aligned);
	put_table_name(aligned, table, remark);
	aligned->shown = NULL;
	pfree(remark);
}

/*
 * Show a change.  It may be printed only by aligned_flush().
 */
void
aligned_change(Aligned *aligned, Message *message)
{
	const char *schema = message_string(message, "schema");
	const char *name = message_string(message, "table");
	Table	   *table = find_table(aligned, schema ? schema : "", name ? name : "");

	switch (message->op)
	{
		case OP_INSERT:
			add_row(aligned, table, MARK_INSERT, message->after, NULL);
			break;
		case OP_UPDATE:
			if (message->before.start != NULL)
				add_row(aligned, table, MARK_OLD, message->before, NULL);
			add_row(aligned, table, MARK_NEW, message->after,
					message_member(message, "unchanged"));
			break;
		case OP_DELETE:
			add_row(aligned, table, MARK_DELETE, message->before, NULL);
			break;
		case OP_TRUNCATE:
			put_truncate(aligned, table, message);
			break;
		default:
			break;
	}
}
