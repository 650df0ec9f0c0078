/* guard_hash.h: the keyed hashes of the guard, and the room they are worked out in.
 *
 * Not made to be short, but to leave a client who does not know the key no way to two texts of one
 * hash: the difference of eight bytes is multiplied by a secret before the next eight can answer
 * it, twice, the second time in reverse: after one multiplication a difference in the highest bit
 * is still there and nowhere else. userspace/http/footprint.py computes the same. */
#ifndef UNILB_GUARD_HASH_H
#define UNILB_GUARD_HASH_H

#include "splice_maps.h"

#define HEAD_MAX  1024
#define HEAD_ROOM 1536 /* of its packet, as far as the checksum is computed here */

#define HEAD_PARTS 64

/* A part of a head: bytes start .. end of the room. */
struct part {
	u64 hash;
	u32 state; /* enum head_state */
	u32 start, end;
	u32 pad;
};

/* One packet's head, and what was found in it. Per CPU. */
struct head {
	struct spliced_request told; /* in front of the bytes: both are told in one go */
	u8 bytes[HEAD_ROOM + 8];
	u64 hashes[32]; /* by enum guard_attribute and enum guard_header */
	u64 content_length;
	struct part parts[HEAD_PARTS];
	u32 part_count;
	u32 kind;	/* of the header that is being read: enum guard_header, or HEAD_OTHER */
	u32 avail;	/* bytes in the room */
	u32 len;	/* of the whole head, once it is complete */
	u32 end;	/* enum head_state: DONE or BAD */
	u32 zero;	/* never written */
	u32 hashed, at; /* parts, and the byte that comes next */
	u32 starts[32], ends[32]; /* of values, by kind */
	u8 seen[32];		  /* how often, by kind */
};
BPF_PERCPU_ARRAY(heads, struct head, 1);

/* Makes clang read memory anew, and the verifier with it know nothing of what is there: it would
 * follow the guard once for each way that led to it. */
static __always_inline void forget(void)
{
	asm volatile("" ::: "memory");
}

static __always_inline u64 hash_word(u64 hash, u64 factor, u64 word)
{
	hash = (hash ^ word) * factor;
	return __builtin_bswap64(hash) * factor;
}

/* Returns the first `left` bytes of a word, all of them from eight on. Without a branch, which the
 * verifier would follow both ways, for each word anew. */
static __always_inline u64 word_cut(u64 word, u64 left)
{
	u64 missing = (8 - left) & (u64)((s64)(left - 8) >> 63);

	return word << missing * 8 >> missing * 8;
}

/* A last word of zeros is not none: how long the text was counts. Never 0. */
static __always_inline u64 hash_end(u64 hash, u64 factor, u32 len)
{
	return (hash ^ len) * factor ?: 1;
}

/* Hashes the first `len` bytes of the room. */
static __always_inline u64 hash_head(const struct head *head, u32 len, const struct guard_key *key)
{
	u64 hash = key->seed;

	for (u32 at = 0; at < HEAD_MAX; at += 8) {
		u64 word;

		if (at >= len)
			break;
		word = *(const u64 *)&head->bytes[at];
		hash = hash_word(hash, key->factor, word_cut(word, len - at));
	}
	return hash;
}

#endif
