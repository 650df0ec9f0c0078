/* segment.h: a TCP header changed as a whole: ports, numbers, window and options at once.
 *
 * The header is read, edited beside the packet, and written back; one difference over all of it
 * mends the checksum. So options at odd offsets need no care (research 2.2), and none of these
 * fields is in the pseudo-header: the helpers leave a CHECKSUM_PARTIAL packet alone and a
 * CHECKSUM_COMPLETE one right. */
#ifndef UNILB_SEGMENT_H
#define UNILB_SEGMENT_H

#include "mss.h"
#include "quote.h"
#include "splice_maps.h"
#include "tcp_header.h"

#define TCPOPT_SACK	  5
#define TCPOPT_TIMESTAMPS 8
#define TS_LEN		  10
#define TS_FIRST	  bpf_htonl(0x0101080a) /* the usual layout: two NOPs and the option */
#define TCP_URG		  bpf_htons(0x20)	/* of tcp_header.bits */
#define TCP_DOFF	  bpf_htons(0xf000)
#define TCP_ACK_ONLY	  bpf_htons(0x10)
#define OPTION_WALK	  12
#define SACK_EDGES	  8	    /* four blocks are all that fit (RFC 2018 section 3) */
#define OPTION_AT(at)	  ((at)&63) /* a bound that clang cannot fold away */

/* How the numbers of one direction change. */
struct shift {
	u32 seq;
	u32 ack;     /* subtracted */
	u32 ts;	     /* added to TSval */
	u32 ts_echo; /* subtracted from TSecr */
	u8 has_echo;
	u8 window_from;
	u8 window_to;
};

/* A header before and after, and what makes the difference: too much for the stack, so per CPU.
 * Longer than a header by what OPTION_AT() may reach beyond. */
struct segment {
	struct tcp_header old;
	u8 slack[32];
	struct tcp_header new;
	u8 slack2[32];
	u8 ts_at, sack_at, sack_edges; /* offsets within the options; 0: there is none */
	u8 walk;
	u32 payload; /* bytes */
	u32 payload_at;
	u32 tsval; /* host order, where there is one */
	u32 mtu;   /* of the way on, when the packet is longer */
	struct shift shift;
	struct quote quote; /* of an ICMP error */
	struct flow answer; /* what the quoted packet's receiver sends */
	struct flow peer;   /* the flow of the other direction as that arrives */
};

BPF_PERCPU_ARRAY(segments, struct segment, 1);

static __always_inline u32 load_u32(const u8 *at)
{
	__be32 word;

	__builtin_memcpy(&word, at, 4);
	return bpf_ntohl(word);
}

static __always_inline void store_u32(u8 *at, u32 value)
{
	__be32 word = bpf_htonl(value);

	__builtin_memcpy(at, &word, 4);
}

/* A clock difference that is not known yet: an echo of 0 measures nothing (RFC 7323 section 3.2).
 */
static __always_inline void shift_timestamps(u8 *at, const struct shift *shift)
{
	u32 echo = load_u32(at + 4);

	store_u32(at, load_u32(at) + shift->ts);
	store_u32(at + 4, shift->has_echo && echo ? echo - shift->ts_echo : 0);
}

/* Finds what segment_shift() has to change among the options. A walk that ends early, at an option
 * that is cut off, leaves the rest alone, as every receiver does. */
static __always_inline void find_options(struct segment *segment, u32 len)
{
	u32 first;

	segment->ts_at = segment->sack_at = segment->sack_edges = 0;
	__builtin_memcpy(&first, segment->old.options, 4);
	if (len == 12 && first == TS_FIRST) {
		segment->ts_at = 4;
		return;
	}
	segment->walk = 0;
	for (int i = 0; i < OPTION_WALK; i++) {
		u32 at = segment->walk; /* in memory: the verifier need not follow every sum */
		u8 kind, size;

		if (at + 2 > len)
			return;
		kind = segment->old.options[OPTION_AT(at)];
		size = segment->old.options[OPTION_AT(at + 1)];
		if (kind == TCPOPT_NOP)
			size = 1;
		else if (kind == TCPOPT_END || size < 2 || at + size > len)
			return;
		if (kind == TCPOPT_TIMESTAMPS && size == TS_LEN)
			segment->ts_at = at + 2;
		if (kind == TCPOPT_SACK) {
			segment->sack_at = at + 2;
			segment->sack_edges = (size - 2) / 4;
		}
		segment->walk = at + size;
	}
}

static __always_inline void shift_sack(struct segment *segment, const struct shift *shift)
{
	for (u32 edge = 0; edge < SACK_EDGES; edge++) {
		u32 at = segment->sack_at + edge * 4;

		if (edge >= segment->sack_edges)
			return;
		store_u32(&segment->new.options[OPTION_AT(at)],
			  load_u32(&segment->old.options[OPTION_AT(at)]) - shift->ack);
	}
}

/* Reads the packet's TCP header. Returns NULL when it is not all there. */
static __always_inline struct segment *segment_read(ctx_t *ctx, const struct packet *pkt)
{
	struct segment *segment;
	u64 len = pkt->tcp_doff * 4;
	u32 zero = 0;

	segment = segments.lookup(&zero);
	if (!segment || len < TCP_MIN_LEN || len > TCP_MAX_LEN)
		return 0;
	if (header_load(ctx, pkt->l4, &segment->old, len))
		return 0;
	segment->new = segment->old;
	find_options(segment, len - TCP_MIN_LEN);
	return segment;
}

/* Returns the window that the receiver, who was told another shift, is to read. */
static __always_inline u16 shift_window(u16 window, const struct shift *shift)
{
	u32 scaled = (u32)window << (shift->window_from & 15) >> (shift->window_to & 15);

	if (scaled > 0xffff)
		return 0xffff;
	/* Rounded down to nothing, it would stop a sender that nobody wakes again. */
	return window && !scaled ? 1 : scaled;
}

/* Edits the header for the other leg. `ts_at`: find_timestamps()'s. */
static __always_inline void segment_shift(struct segment *segment, const struct packet *pkt)
{
	const struct shift *shift = &segment->shift;
	/* By whole words, as they are read next: a word of two stores is not forwarded to a load.
	 */
	u32 *words = (u32 *)&segment->new;

	words[0] = segment->peer.dport | (u32)segment->peer.sport << 16;
	segment->new.seq = bpf_htonl(pkt->seq + shift->seq);
	if (pkt->ack)
		segment->new.ack = bpf_htonl(pkt->ack_seq - shift->ack);
	if (!pkt->syn)
		words[3] = segment->old.bits |
			   (u32)bpf_htons(shift_window(bpf_ntohs(segment->old.window), shift))
			       << 16;
	if (segment->ts_at)
		shift_timestamps(&segment->new.options[OPTION_AT(segment->ts_at)], shift);
	if (segment->sack_at)
		shift_sack(segment, shift);
}

/* Makes the edited header that of a keep-alive probe: the number before the one that its receiver
 * expects (RFC 9293 section 3.8.4). */
static __always_inline void segment_probe(struct segment *segment, u32 expected, u32 ack)
{
	segment->new.seq = bpf_htonl(expected - 1);
	segment->new.ack = bpf_htonl(ack);
	segment->new.bits = (segment->old.bits & TCP_DOFF) | TCP_ACK_ONLY;
}

/* Writes the edited header. Returns 0 or a negative errno. */
static __always_inline int segment_write(ctx_t *ctx, const struct packet *pkt,
					 struct segment *segment)
{
	u32 csum = pkt->l4 + TCP_CSUM;

	/* The checksum's own field has not changed, so it is in neither half of the difference. */
	if (ctx_csum_l4(ctx, csum, 0, header_diff(&segment->old, &segment->new), 0) ||
	    ctx_header_load(ctx, csum, &segment->new.csum, 2))
		return -EFAULT;
	return header_store(ctx, pkt->l4, &segment->new, pkt->tcp_doff * 4);
}

#endif
