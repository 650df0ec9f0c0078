/* guard_head.h: a request head read as HTTP/1.1, as narrowly as can be: whatever is unusual is left
 * to user space. */
#ifndef UNILB_GUARD_HEAD_H
#define UNILB_GUARD_HEAD_H

#include "guard_hash.h"

/* The states of guard_states: userspace/node/head_table.py has the same numbers. */
enum head_state {
	HEAD_METHOD = 0,
	HEAD_PATH = 1,
	HEAD_QUERY = 2,
	HEAD_VERSION = 3, /* the blank before it; its bytes are states of their own, up to its CR */
	HEAD_LINE = 14,	  /* LF: a line may begin */
	HEAD_NAME = 15,
	HEAD_BLANK = 16, /* the colon, and blanks before the value */
	HEAD_VALUE = 17,
	HEAD_CR = 18,	  /* of a line with a value, or of one without */
	HEAD_LAST = 19,	  /* CR of the empty line */
	HEAD_TARGET = 20, /* the blank before the path */
	HEAD_DONE = 30,
	HEAD_BAD = 31,
};

#define HEAD_ROWS      0x1f00 /* where a state's row may begin in the table */
#define HEAD_OTHER     24     /* the kind of headers that do not matter */
#define KEEP_ALIVE_LEN 10
#define KEEP_ALIVE_8   0x696c612d7065656bULL /* "keep-ali" */
#define KEEP_ALIVE_2   0x6576		     /* "ve" */
#define BLANKS	       0x2020202020202020ULL /* what makes a capital letter small */
#define LENGTH_DIGITS  9		     /* of a Content-Length; longer ones go to user space */

/* A header's name was read: what kind is it? A second one of a kind is none of ours. */
static __always_inline void head_name(struct head *head, const struct part *part,
				      const struct guard *guard)
{
	u32 *kind, known = HEAD_OTHER;

	kind = guard_headers.lookup((u64 *)&part->hash);
	if (kind)
		known = *kind;
	else if (part->hash == guard->extra_name && guard->mask & 1 << GUARD_EXTRA)
		known = GUARD_EXTRA;
	known &= 31;
	head->kind = known;
	head->seen[known] += 1;
	/* Until its value is read; an empty one has no part of its own, and is not the same as
	 * none. */
	head->hashes[known] = 1;
	head->starts[known] = head->ends[known] = 0;
}

/* Takes one part of a head. A name's kind is where its value goes. */
static __always_inline void head_part(struct head *head, const struct part *part,
				      const struct guard_table *table, const struct guard *guard)
{
	u32 to = table->whose[part->state & 31];

	if (part->state == HEAD_NAME) {
		head_name(head, part, guard);
		return;
	}
	if (part->state == HEAD_VALUE)
		to = head->kind;
	head->hashes[to & 31] = part->hash;
	head->starts[to & 31] = part->start;
	head->ends[to & 31] = part->end;
}

/* Is the Connection header's value "keep-alive", in whatever case? */
static __always_inline int is_keep_alive(const struct head *head)
{
	u64 start = head->starts[GUARD_HEADER_KEEP], end = head->ends[GUARD_HEADER_KEEP];
	u64 word;
	u16 rest;

	if (start >= HEAD_MAX || end - start != KEEP_ALIVE_LEN)
		return 0;
	word = *(const u64 *)&head->bytes[start];
	rest = *(const u16 *)&head->bytes[start + 8];
	return (word | BLANKS) == KEEP_ALIVE_8 && (rest | (u16)BLANKS) == KEEP_ALIVE_2;
}

/* Reads Content-Length. Returns -1 when it is none. */
static __always_inline int head_length(struct head *head)
{
	u32 start = head->starts[GUARD_HEADER_LENGTH];
	u32 len = head->ends[GUARD_HEADER_LENGTH] - start, bad = 0;

	if (!len || len > LENGTH_DIGITS)
		return -1;
	for (u32 i = 0; i < LENGTH_DIGITS; i++) {
		u64 at = start + i;
		u8 digit;

		if (i >= len || at >= HEAD_MAX)
			break;
		digit = head->bytes[at] - '0';
		bad |= digit > 9;
		head->content_length = head->content_length * 10 + digit;
	}
	return bad ? -1 : 0;
}

/* Returns whether every header is one that the kernel may judge, each once. */
static __always_inline int head_is_plain(struct head *head)
{
	u32 twice = head->seen[GUARD_HEADER_REFUSED] ? 2 : 0;

	for (int kind = 0; kind < GUARD_HEADER_REFUSED; kind++)
		twice |= head->seen[kind];
	return twice < 2 && (!head->seen[GUARD_HEADER_KEEP] || is_keep_alive(head)) &&
	       (!head->seen[GUARD_HEADER_LENGTH] || !head_length(head));
}

/* Cuts the room into the parts of a head. Everything that is branched on later stands in memory and
 * not in registers: there the verifier forgets it, and follows one way through each byte instead of
 * every way through all of them. */
static __always_inline void head_cut(struct head *head, const struct guard_table *table)
{
	/* Zeros of which the verifier knows nothing, nor that they are the same. Words of 64 bits:
	 * without ALU32, which BCC does not ask for, each sum of 32 is followed by two shifts. */
	const volatile u32 *any = &head->zero;
	u64 state = *any | HEAD_METHOD, parts = *any, start = *any, limit = head->avail;
	u64 any_state = *any, any_start = *any, row = state << 8 & HEAD_ROWS;

	head->end = HEAD_BAD;
	head->len = 0;
	for (u64 at = 0; at < HEAD_MAX; at++) {
		struct part *part;
		u64 next;

		if (at >= limit)
			break;
		next = table->next[row + head->bytes[at]];
		if (next != state) {
			part = &head->parts[parts & (HEAD_PARTS - 1)];
			part->state = state;
			part->start = start;
			part->end = at;
			parts += table->keep[state & 31];
			start = at | any_start;
			row = next << 8 & HEAD_ROWS;
			state = next | any_state;
			if (next >= HEAD_DONE) {
				head->end = next;
				head->len = at + 1;
				break;
			}
		}
	}
	head->part_count = parts;
}

/* Hashes every part, word by word. Returns whether all were. One loop over the words of all parts,
 * and where it stands in memory: so the verifier follows each of its rounds once. */
static __always_inline int head_hash(struct head *head, const struct guard_table *table,
				     const struct guard_key *key)
{
	u64 factor = key->factor, seed = key->seed, hash = seed;

	head->hashed = 0;
	head->at = head->parts[0].start;
	for (u32 round = 0; round < HEAD_MAX / 8 + HEAD_PARTS; round++) {
		struct part *part = &head->parts[head->hashed & (HEAD_PARTS - 1)];
		u64 word, at = head->at;

		if (head->hashed >= head->part_count)
			break;
		asm volatile("" : "+r"(at)); /* what is compared is what is added */
		if (at >= HEAD_MAX)
			return 0;
		word = *(const u64 *)&head->bytes[at] |
		       table->small[part->state & 31] * 0x0101010101010101ULL;
		hash = hash_word(hash, factor, word_cut(word, part->end - at));
		head->at = at + 8;
		if (at + 8 < part->end)
			continue;
		part->hash = hash_end(hash, factor, part->end - part->start);
		hash = seed;
		head->hashed += 1;
		head->at = head->parts[head->hashed & (HEAD_PARTS - 1)].start;
		forget();
	}
	return head->hashed >= head->part_count;
}

/* Reads the head at the beginning of the room. Returns SPLICE_BACK_NONE with
 * what was found, or why user space has to read it. */
static __always_inline int head_read(struct head *head, const struct guard *guard,
				     const struct guard_key *key)
{
	struct guard_table *table;
	u32 zero = 0;

	table = guard_states.lookup(&zero);
	if (!table)
		return SPLICE_BACK_HEAD;
	__builtin_memset(head->hashes, 0, 8 * sizeof(u64));
	__builtin_memset(head->seen, 0, sizeof(head->seen));
	head->content_length = 0;
	head_cut(head, table);
	if (!head->len)
		return SPLICE_BACK_SPLIT;
	if (head->end != HEAD_DONE || head->part_count >= HEAD_PARTS ||
	    !head_hash(head, table, key))
		return SPLICE_BACK_HEAD;
	for (u32 i = 0; i < HEAD_PARTS; i++) {
		if (i >= head->part_count)
			break;
		head_part(head, &head->parts[i], table, guard);
	}
	return head_is_plain(head) ? SPLICE_BACK_NONE : SPLICE_BACK_HEAD;
}

#endif
