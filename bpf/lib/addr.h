/* addr.h: IPv4 addresses in their 16-byte form (RFC 4291 section 2.5.5.2). */
#ifndef UNILB_ADDR_H
#define UNILB_ADDR_H

#include "abi.h"

/* Returns ::ffff:a.b.c.d for a.b.c.d in network order. */
static __always_inline struct addr addr_from_v4(__be32 v4)
{
	struct addr addr = {};

	addr.bytes[10] = 0xff;
	addr.bytes[11] = 0xff;
	__builtin_memcpy(&addr.bytes[12], &v4, 4);
	return addr;
}

/* Returns the last four bytes, network order; meaningful for mapped addresses only. */
static __always_inline __be32 v4_from_addr(const struct addr *addr)
{
	__be32 v4;

	__builtin_memcpy(&v4, &addr->bytes[12], 4);
	return v4;
}

static __always_inline int addr_equal(const struct addr *a, const struct addr *b)
{
	const u32 *x = (const u32 *)a->bytes, *y = (const u32 *)b->bytes;

	return x[0] == y[0] && x[1] == y[1] && x[2] == y[2] && x[3] == y[3];
}

/* True for ::ffff:a.b.c.d. */
static __always_inline int addr_is_v4(const struct addr *addr)
{
	const u32 *word = (const u32 *)addr->bytes;

	return !word[0] && !word[1] && word[2] == bpf_htonl(0xffff);
}

#endif
