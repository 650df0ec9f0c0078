/* ctx.h: the packet as a program sees it, the same for TC and XDP.
 *
 * A program file that defines UNILB_XDP is compiled for XDP, any other for TC; nothing below this
 * header and forward.h knows which. TC keeps skb->csum and GSO right through its helpers; XDP has
 * neither, so there the checksums in the packet are all there is, and they must be complete: no
 * CHECKSUM_PARTIAL from a virtual device (`unilb doctor`). */
#ifndef UNILB_CTX_H
#define UNILB_CTX_H

#include <uapi/linux/bpf.h>
#include <uapi/asm-generic/errno-base.h>
#include <uapi/linux/pkt_cls.h>
#include "abi.h"

/* Newer than the header tree that BCC compiles with may be (6.1): the kernel's numbers. */
#define CSUM_IPV6	       (1ULL << 7) /* BPF_F_IPV6, 6.16 and stable 6.12.117 */
#define ADJ_ROOM_DECAP_L3_IPV4 (1ULL << 7) /* BPF_F_ADJ_ROOM_DECAP_L3_IPV4, 6.3 */
#define ADJ_ROOM_DECAP_L3_IPV6 (1ULL << 8)

static __always_inline u16 csum_fold_u64(u64 sum)
{
	sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32 & 0xffff) + (sum >> 48);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (u16)sum;
}

#ifdef UNILB_XDP

#define VERDICT_PASS	 XDP_PASS
#define VERDICT_DROP	 XDP_DROP
#define CTX_HAS_GSO(ctx) 0
#define CTX_LINEAR_MAX	 0xfff
typedef struct xdp_md ctx_t;

static __always_inline u32 ctx_len(ctx_t *ctx)
{
	return bpf_xdp_get_buff_len(ctx);
}

static __always_inline u32 ctx_ifindex(ctx_t *ctx)
{
	return ctx->ingress_ifindex;
}

/* The driver puts the headers into the linear part. */
static __always_inline void pull(ctx_t *ctx, u32 len)
{
}

/* Returns where the `len` bytes at `at` are, or NULL when the linear part does not hold them. */
static __always_inline void *ctx_linear(ctx_t *ctx, u64 at, u32 len)
{
	void *data_end = (void *)(long)ctx->data_end;
	void *place = (void *)(long)ctx->data;

	if (at > CTX_LINEAR_MAX)
		return 0;
	/* clang adds before it compares, or compares another copy: the verifier has to see the
	 * bound on what is added, and the end on what is read. */
	asm volatile("" : "+r"(at));
	place += at & CTX_LINEAR_MAX;
	asm volatile("" : "+r"(place));
	return place + len > data_end ? 0 : place;
}

/* The sizes that headers are changed by. A packet that is too short for one fails: to try a helper
 * then would double what the verifier has to follow at each of them. */
#define CTX_IS_DIRECT(len) ((len) == 1 || (len) == 2 || (len) == 4 || (len) == 8 || (len) == 12)

static __always_inline void ctx_copy(void *to, const void *from, u32 len)
{
	if (len == 1)
		*(u8 *)to = *(const u8 *)from;
	else if (len == 2)
		*(u16 *)to = *(const u16 *)from;
	else
		for (int i = 0; i < 3; i++)
			if (i < len / 4)
				((u32 *)to)[i] = ((const u32 *)from)[i];
}

/* Headers are read and written where they are: a helper's call costs ten times as much. */
static __always_inline int ctx_load(ctx_t *ctx, u32 at, void *to, u32 len)
{
	void *place;

	if (!__builtin_constant_p(len) || !CTX_IS_DIRECT(len))
		return bpf_xdp_load_bytes(ctx, at, to, len);
	place = ctx_linear(ctx, at, len);
	if (!place)
		return -EFAULT;
	ctx_copy(to, place, len);
	return 0;
}

static __always_inline int ctx_store(ctx_t *ctx, u32 at, void *from, u32 len)
{
	void *place;

	if (!__builtin_constant_p(len) || !CTX_IS_DIRECT(len))
		return bpf_xdp_store_bytes(ctx, at, from, len);
	place = ctx_linear(ctx, at, len);
	if (!place)
		return -EFAULT;
	ctx_copy(place, from, len);
	return 0;
}

/* Writes bytes that no checksum in the packet balances. */
#define ctx_store_unbalanced ctx_store

/* Lengthens or cuts the frame at its end. */
static __always_inline int ctx_resize(ctx_t *ctx, u32 len)
{
	return bpf_xdp_adjust_tail(ctx, (int)(len - ctx_len(ctx)));
}

/* The semantics of bpf_l3_csum_replace(): size 0 takes a difference in `to`. */
static __always_inline int ctx_csum(ctx_t *ctx, u32 at, u64 from, u64 to, u64 flags)
{
	u16 csum = 0;
	u64 sum;

	if (ctx_load(ctx, at, &csum, 2))
		return -EFAULT;
	if (flags & BPF_F_MARK_MANGLED_0 && !csum)
		return 0;
	sum = (u16)~csum;
	switch (flags & 0xf) {
	case 0:
		sum += (u32)to;
		break;
	case 2:
		sum += (u16) ~(u16)from + (u64)(u16)to;
		break;
	default:
		sum += (u32) ~(u32)from + (u64)(u32)to;
	}
	csum = ~csum_fold_u64(sum);
	if (flags & BPF_F_MARK_MANGLED_0 && !csum)
		csum = 0xffff;
	return ctx_store(ctx, at, &csum, 2);
}
#define ctx_csum_l3 ctx_csum
#define ctx_csum_l4 ctx_csum

#else

#define VERDICT_PASS	 TC_ACT_OK
#define VERDICT_DROP	 TC_ACT_SHOT
#define CTX_HAS_GSO(ctx) ((ctx)->gso_size)
typedef struct __sk_buff ctx_t;

static __always_inline u32 ctx_len(ctx_t *ctx)
{
	return ctx->len;
}

/* The device it came in by, or the one that a local socket's packet is about to leave by. */
static __always_inline u32 ctx_ifindex(ctx_t *ctx)
{
	return ctx->ingress_ifindex ?: ctx->ifindex;
}

/* Makes the first `len` bytes linear when they are there at all; a shorter packet stays as it is
 * and fails the parser's own checks. Packet pointers are void afterwards. */
static __always_inline void pull(ctx_t *ctx, u32 len)
{
	if ((void *)(long)ctx->data + len > (void *)(long)ctx->data_end)
		bpf_skb_pull_data(ctx, len < ctx->len ? len : ctx->len);
}

static __always_inline int ctx_load(ctx_t *ctx, u32 at, void *to, u32 len)
{
	return bpf_skb_load_bytes(ctx, at, to, len);
}

static __always_inline int ctx_store(ctx_t *ctx, u32 at, void *from, u32 len)
{
	return bpf_skb_store_bytes(ctx, at, from, len, 0);
}

/* Writes bytes that no checksum in the packet balances: skb->csum changes. */
static __always_inline int ctx_store_unbalanced(ctx_t *ctx, u32 at, void *from, u32 len)
{
	return bpf_skb_store_bytes(ctx, at, from, len, BPF_F_RECOMPUTE_CSUM);
}

static __always_inline int ctx_resize(ctx_t *ctx, u32 len)
{
	return bpf_skb_change_tail(ctx, len, 0);
}

static __always_inline int ctx_csum_l3(ctx_t *ctx, u32 at, u64 from, u64 to, u64 flags)
{
	return bpf_l3_csum_replace(ctx, at, from, to, flags);
}

static __always_inline int ctx_csum_l4(ctx_t *ctx, u32 at, u64 from, u64 to, u64 flags)
{
	return bpf_l4_csum_replace(ctx, at, from, to, flags);
}

#endif

#endif
