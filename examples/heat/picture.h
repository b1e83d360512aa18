/* picture.h: pictures of 256 colours, to and from PNG files, with zlib alone.
 *
 * Writes what every viewer reads; reads only what it has written itself (palette, 8 bits, no
 * filter, one IDAT chunk). Source: Portable Network Graphics, 2nd edition, W3C 2003. */
#ifndef PICTURE_H
#define PICTURE_H

#include <zlib.h>

#include "heat.h"

struct picture {
  int width, height;
  unsigned char* pixels; /* height rows of width colour numbers */
};

enum { kColours = 240, kBlack = 253, kGrey = 254, kWhite = 255 };

static inline struct picture picture_new(int width, int height, unsigned char colour) {
  struct picture p = {width, height, heat_alloc((size_t)width * (size_t)height, 1)};
  memset(p.pixels, colour, (size_t)width * (size_t)height);
  return p;
}

static inline void picture_set(struct picture* p, int x, int y, unsigned char colour) {
  if (x >= 0 && y >= 0 && x < p->width && y < p->height) {
    p->pixels[(size_t)y * (size_t)p->width + (size_t)x] = colour;
  }
}

/* Digits and the letters of "step", 3 x 5 points, each row three bits; others are blank. */
static inline void picture_text(
    struct picture* p, int x, int y, int scale, unsigned char colour, const char* text) {
  static const char kKnown[] = "0123456789step";
  static const unsigned short kGlyphs[] = {075557, 026227, 071747, 071717, 055711, 074717, 074757,
                                           071111, 075757, 075717, 074717, 072222, 074747, 075744};
  for (; *text; ++text, x += 4 * scale) {
    const char* known = strchr(kKnown, *text);
    if (!known) continue;
    const unsigned short glyph = kGlyphs[known - kKnown];
    for (int bit = 0; bit < 15; ++bit) {
      if (!(glyph >> (14 - bit) & 1)) continue;
      for (int i = 0; i < scale * scale; ++i) {
        picture_set(p, x + bit % 3 * scale + i % scale, y + bit / 3 * scale + i / scale, colour);
      }
    }
  }
}

/* Black, violet, red, yellow, white: the colours of hot iron. */
static inline void picture_palette(unsigned char palette[768]) {
  static const unsigned char kStops[6][3] = {{8, 6, 40},     {84, 15, 110},  {188, 40, 80},
                                             {240, 110, 32}, {252, 195, 65}, {252, 255, 220}};
  memset(palette, 0, 768);
  for (int i = 0; i < kColours; ++i) {
    const double at = (double)i * 5 / (kColours - 1);
    const int stop = at >= 5 ? 4 : (int)at;
    for (int k = 0; k < 3; ++k) {
      palette[3 * i + k] =
          (unsigned char)(kStops[stop][k] + (kStops[stop + 1][k] - kStops[stop][k]) * (at - stop));
    }
  }
  memset(palette + 3 * kGrey, 128, 3);
  memset(palette + 3 * kWhite, 255, 3);
}

static inline void picture_put32(unsigned char* p, unsigned long v) {
  for (int i = 0; i < 4; ++i) p[i] = (unsigned char)(v >> (24 - 8 * i));
}

static inline unsigned long picture_get32(const unsigned char* p) {
  return (unsigned long)p[0] << 24 | (unsigned long)p[1] << 16 | (unsigned long)p[2] << 8 | p[3];
}

static inline void picture_chunk(FILE* f,
                                 const char* type,
                                 const unsigned char* data,
                                 size_t size) {
  unsigned char head[8], tail[4];
  picture_put32(head, size);
  memcpy(head + 4, type, 4);
  uLong crc = crc32(0, head + 4, 4);
  if (size > 0) crc = crc32(crc, data, (uInt)size);
  picture_put32(tail, crc);
  fwrite(head, 1, 8, f);
  fwrite(data, 1, size, f);
  fwrite(tail, 1, 4, f);
}

static const unsigned char kPngStart[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};

static inline void picture_write(const struct picture* p, const char* path) {
  const size_t row = (size_t)p->width + 1, raw_size = row * (size_t)p->height;
  unsigned char *raw = heat_alloc(raw_size, 1), header[13], palette[768];
  for (int y = 0; y < p->height; ++y) { /* each row begins with its filter: none */
    memcpy(raw + (size_t)y * row + 1, p->pixels + (size_t)y * (size_t)p->width, (size_t)p->width);
  }
  uLongf packed_size = compressBound(raw_size);
  unsigned char* packed = heat_alloc(packed_size, 1);
  if (compress2(packed, &packed_size, raw, raw_size, 6) != Z_OK) heat_die("compress", path);
  picture_put32(header, (unsigned long)p->width);
  picture_put32(header + 4, (unsigned long)p->height);
  memcpy(header + 8, "\x08\x03\x00\x00\x00", 5); /* 8 bits, palette */
  picture_palette(palette);
  FILE* f = heat_open(path, "wb");
  fwrite(kPngStart, 1, 8, f);
  picture_chunk(f, "IHDR", header, 13);
  picture_chunk(f, "PLTE", palette, sizeof palette);
  picture_chunk(f, "IDAT", packed, packed_size);
  picture_chunk(f, "IEND", packed, 0);
  heat_close(f, path);
  free(raw);
  free(packed);
}

static inline struct picture picture_read(const char* path) {
  enum { kBeforeData = 8 + 25 + 12 + 768, kMost = 64 << 20 };
  FILE* f = heat_open(path, "rb");
  fseek(f, 0, SEEK_END);
  const long size = ftell(f);
  rewind(f);
  if (size < kBeforeData + 24 || size > kMost) heat_die("understand", path);
  unsigned char* file = heat_alloc((size_t)size, 1);
  if (fread(file, 1, (size_t)size, f) != (size_t)size) heat_die("read", path);
  fclose(f);
  const unsigned long width = picture_get32(file + 16), height = picture_get32(file + 20),
                      packed = picture_get32(file + kBeforeData);
  if (memcmp(file, kPngStart, 8) != 0 || memcmp(file + kBeforeData + 4, "IDAT", 4) != 0 ||
      width < 1 || height < 1 || width > 20000 || height > 20000 ||
      packed > (unsigned long)size - kBeforeData - 24) {
    heat_die("understand", path);
  }
  const size_t row = width + 1;
  uLongf raw_size = row * height;
  unsigned char* raw = heat_alloc(raw_size, 1);
  if (uncompress(raw, &raw_size, file + kBeforeData + 8, packed) != Z_OK ||
      raw_size != row * height) {
    heat_die("understand", path);
  }
  struct picture p = picture_new((int)width, (int)height, 0);
  for (size_t y = 0; y < height; ++y) memcpy(p.pixels + y * width, raw + y * row + 1, width);
  free(file);
  free(raw);
  return p;
}

#endif
