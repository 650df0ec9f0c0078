/* tcp_header.h: a TCP header with its options, copied out of the packet and back. */
#ifndef UNILB_TCP_HEADER_H
#define UNILB_TCP_HEADER_H

#include "ctx.h"
#include "parse.h"

#define TCP_MAX_LEN 60

/* Without an alignment clang moves what is packed byte by byte. */
struct tcp_header {
	__be16 sport;
	__be16 dport;
	__be32 seq;
	__be32 ack;
	__be16 bits;
	__be16 window;
	__be16 csum;
	__be16 urgent;
	u8 options[40];
} __attribute__((packed, aligned(4)));

/* Bytes of a header with nothing or timestamps behind it, which nearly all segments have, are read
 * and written where they are: a helper's call costs as much as the rest of it. */
#define TCP_TS_LEN (TCP_MIN_LEN + 12)

/* Returns 0 or a negative errno; the rest of the header's room is zeros. */
static __always_inline int header_load(ctx_t *ctx, u32 at, struct tcp_header *header, u64 len)
{
	__builtin_memset(header, 0, sizeof(*header));
	if (len == TCP_MIN_LEN)
		return ctx_header_load(ctx, at, header, TCP_MIN_LEN);
	if (len == TCP_TS_LEN)
		return ctx_header_load(ctx, at, header, TCP_TS_LEN);
	asm volatile("" : "+r"(len));
	if (len - 1 >= TCP_MAX_LEN)
		return -EINVAL;
	return ctx_load(ctx, at, header, len);
}

static __always_inline int header_store(ctx_t *ctx, u32 at, struct tcp_header *header, u64 len)
{
	if (len == TCP_MIN_LEN)
		return ctx_header_store(ctx, at, header, TCP_MIN_LEN);
	if (len == TCP_TS_LEN)
		return ctx_header_store(ctx, at, header, TCP_TS_LEN);
	asm volatile("" : "+r"(len));
	if (len - 1 >= TCP_MAX_LEN)
		return -EINVAL;
	return ctx_store(ctx, at, header, len);
}

/* Returns what a checksum of the header changes by, as bpf_csum_diff() does. */
static __always_inline u64 header_diff(const struct tcp_header *before,
				       const struct tcp_header *after)
{
	const u32 *old = (const u32 *)before, *new = (const u32 *)after;
	u64 sum = 0;

#pragma clang loop unroll(full)
	for (int i = 0; i < TCP_MAX_LEN / 4; i++)
		sum += (u64)(u32)~old[i] + new[i];
	sum = (sum & 0xffffffff) + (sum >> 32);
	return (sum & 0xffffffff) + (sum >> 32);
}

#endif
