/* SPDX-License-Identifier: MIT */
/*
 * A pen writes words and numbers to a sink: what printf would do, without a lock, a locale or
 * memory of its own.
 */
#ifndef NAR_PEN_H
#define NAR_PEN_H

#include "numa/sink.h"

/* What is not known; written as nothing would be. */
#define NAR_UNKNOWN UINT64_MAX

void nar_pen_text(struct nar_sink *s, const char *text);
void nar_pen_char(struct nar_sink *s, char c);
void nar_pen_u64(struct nar_sink *s, u64 n);
void nar_pen_i64(struct nar_sink *s, int64_t n);

/* 0.1234 */
void nar_pen_ratio(struct nar_sink *s, u64 ratio);

/* In @width columns: to the right; bytes as 12.3M, ratios as 12.3%. */
void nar_pen_right(struct nar_sink *s, const char *text, unsigned int width);
void nar_pen_right_u64(struct nar_sink *s, u64 n, unsigned int width);
void nar_pen_right_bytes(struct nar_sink *s, u64 bytes, unsigned int width);
void nar_pen_right_ratio(struct nar_sink *s, u64 ratio, unsigned int width);
void nar_pen_right_ns(struct nar_sink *s, u64 ns, unsigned int width);

/* ... and to the left. */
void nar_pen_left(struct nar_sink *s, const char *text, unsigned int width);

/*
 * Text of any origin, between quotes: what JSON asks for, and what a Prometheus label does.
 * What is no UTF-8 becomes U+FFFD.
 */
void nar_pen_json(struct nar_sink *s, const char *text);
void nar_pen_label(struct nar_sink *s, const char *text);

/* ... and for people: what would move the cursor becomes a question mark. */
void nar_pen_plain(struct nar_sink *s, const char *text);

#endif /* NAR_PEN_H */
