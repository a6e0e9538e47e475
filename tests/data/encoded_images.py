"""Encoded images of every format and kind that PIL can write, and of some that it only reads."""

import io
import struct
import zlib

import numpy as np
from PIL import Image
from PIL import PngImagePlugin

HEIGHT, WIDTH = 37, 50


def smooth(height=HEIGHT, width=WIDTH):
  """A colour image without the sharp edges on which decoders of JPEG differ."""
  small = np.random.default_rng([height, width]).integers(0, 256, (height // 5 + 1, width // 5 + 1, 3), np.uint8)
  return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def encode(image, encoding, **options):
  buffer = io.BytesIO()
  image.save(buffer, encoding, **options)
  return buffer.getvalue()


def exif(orientation, **more):
  """EXIF data that say how an image is turned."""
  data = Image.Exif()
  data.update({0x010f: 'maker', 0x0112: orientation, **more})
  return data


def _chunk(name, data):
  return struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))


def png(pixels, depth, color, chunks=b'', size=None):
  """A PNG of [height, width, ...] pixels, whose rows are bytes as they are written; it may lie about its (height, width)."""
  height, width = size or pixels.shape[:2]
  rows = b''.join(b'\0' + row.tobytes() for row in pixels)
  header = struct.pack('>IIBBBBB', width, height, depth, color, 0, 0, 0)
  return b'\x89PNG\r\n\x1a\n' + _chunk(b'IHDR', header) + chunks + _chunk(b'IDAT', zlib.compress(rows)) + _chunk(b'IEND', b'')


def bmp(pixels, bits, palette=b'', compression=0, top_down=False):
  """A BMP of uint8 or uint16 [height, width, ...]."""
  rows = b''.join(row.tobytes() + b'\0' * (-row.nbytes % 4) for row in (pixels if top_down else pixels[::-1]))
  height, width = pixels.shape[0] * (-1 if top_down else 1), pixels[0].nbytes * 8 // bits
  header = struct.pack('<IiiHHIIiiII', 40, width, height, 1, bits, compression, len(rows), 2835, 2835, len(palette) // 4, 0)
  begin = 14 + len(header) + len(palette)
  return b'BM' + struct.pack('<IHHI', begin + len(rows), 0, 0, begin) + header + palette + rows


def _with_alpha(image):
  alpha = np.arange(image.height * image.width, dtype=np.uint8).reshape(image.height, image.width)
  image = image.copy()
  image.putalpha(Image.fromarray(alpha))
  return image


def _packed(values, bits):
  """uint8 [height, bytes] of numbers of some bits, the first in the highest bits."""
  return np.stack([np.packbits(np.unpackbits(row[:, np.newaxis], 1)[:, 8 - bits:]) for row in values])


def readable():
  """Images that have to be decoded as PIL does: a dict of bytes by what they are."""
  rgb, grey = smooth(), smooth().convert('L')
  bgr = np.asarray(rgb)[..., ::-1]
  palette = rgb.quantize(200)
  found = {f'JPEG subsampling {kind}': encode(rgb, 'JPEG', quality=90, subsampling=kind) for kind in range(3)}
  found |= {
      'JPEG progressive': encode(rgb, 'JPEG', progressive=True),
      'JPEG grey': encode(grey, 'JPEG'),
      'JPEG grey progressive': encode(grey, 'JPEG', progressive=True),
      'JPEG stored as RGB': encode(rgb, 'JPEG', keep_rgb=True),
      'JPEG CMYK': encode(rgb.convert('CMYK'), 'JPEG', quality=95),
      'JPEG YCCK': _as_ycck(encode(rgb.convert('CMYK'), 'JPEG', quality=95)),
      'JPEG of two pictures': encode(rgb, 'MPO', save_all=True, append_images=[grey]),
      'JPEG with more behind it': encode(rgb, 'JPEG') + b'more',
  }
  images = {'RGB': rgb, 'grey': grey, 'palette': palette, 'RGBA': _with_alpha(rgb), 'grey and alpha': _with_alpha(grey)}
  for name, image in images.items():
    found[f'PNG {name}'] = encode(image, 'PNG')
    found[f'WebP {name}'] = encode(image, 'WEBP', lossless=True)
    found[f'WebP {name}, lossy'] = encode(image, 'WEBP', quality=90)
  found |= {f'PNG palette of {bits} bits': encode(rgb.quantize(2**bits), 'PNG', bits=bits) for bits in (1, 2, 4)}
  found |= {f'PNG grey of {bits} bits': png(_packed(np.asarray(grey) >> 8 - bits, bits), bits, 0, size=(HEIGHT, WIDTH))
            for bits in (1, 2, 4)}
  found |= {
      'PNG palette, one transparent': encode(palette, 'PNG', transparency=3),
      'PNG palette, all transparent': encode(palette, 'PNG', transparency=bytes(range(200))),
      'PNG RGB, one transparent': encode(rgb, 'PNG', transparency=rgb.getpixel((0, 0))),
      'PNG animated': encode(rgb, 'PNG', save_all=True, append_images=[rgb.rotate(180)]),
      'PNG with gamma': png(np.asarray(rgb), 8, 2, _chunk(b'gAMA', struct.pack('>I', 100_000))),
      'BMP 24 bits': encode(rgb, 'BMP'),
      'BMP 24 bits from the top': bmp(bgr, 24, top_down=True),
      'BMP 32 bits': bmp(np.dstack([bgr, np.zeros_like(grey)]), 32),
      'BMP 32 bits and alpha': encode(_with_alpha(rgb), 'BMP'),
      'BMP grey': encode(grey, 'BMP'),
      'GIF': encode(palette, 'GIF'),
      'GIF grey': encode(grey, 'GIF'),
      'GIF not interlaced': encode(palette, 'GIF', interlace=0),
      'GIF transparent': encode(palette, 'GIF', transparency=palette.getpixel((0, 0))),
      'GIF animated': encode(palette, 'GIF', save_all=True, append_images=[rgb.rotate(180).quantize(100)]),
      'GIF animated, transparent': encode(palette, 'GIF', save_all=True, append_images=[rgb.rotate(180).quantize(100)], transparency=7),
  }
  for height, width in ((1, 1), (1, 40), (40, 1), (7, 9)):
    found |= {f'{encoding} of {height} x {width}': encode(smooth(height, width), encoding)
              for encoding in ('JPEG', 'PNG', 'BMP', 'GIF', 'WEBP')}
  return found


def _as_ycck(cmyk):
  """A CMYK JPEG whose numbers are said to be YCCK."""
  transform = cmyk.index(b'Adobe') + 11
  return cmyk[:transform] + b'\2' + cmyk[transform + 1:]


def refused():
  """Images that cannot be decoded rightly, and a part of what is said of them: a dict of pairs by what they are."""
  rgb, grey = smooth(), smooth().convert('L')
  twelve = (np.asarray(grey).astype('>u2') * 16).astype('>u2')
  sixteen = (np.asarray(rgb).astype('>u2') * 257).astype('>u2')
  cmyk, gif = encode(rgb.convert('CMYK'), 'JPEG'), encode(rgb.quantize(16), 'GIF')
  adobe = cmyk.index(b'Adobe') - 4
  jpeg = encode(rgb, 'JPEG')
  precision = jpeg.index(b'\xff\xc0') + 4
  indices = np.asarray(rgb.quantize(16))
  animated = {'save_all': True, 'append_images': [rgb.rotate(180)]}
  xmp = b'<rdf:Description tiff:Orientation="6"/>'
  return {
      'nothing': (b'', 'is empty'),
      'a page': (b'<html>not found</html>', 'is no image that can be read'),
      'PNG grey of 12 bits in 16': (png(twelve, 16, 0), '16 bits'),
      'PNG RGB of 16 bits': (png(sixteen, 16, 2), '16 bits'),
      'PNG RGBA of 16 bits': (png(np.dstack([sixteen, twelve]), 16, 6), '16 bits'),
      'PNG without pixels': (png(np.zeros((0, 0, 3), np.uint8), 8, 2), 'is no image that can be read'),
      'JPEG of 12 bits': (jpeg[:precision] + b'\x0c' + jpeg[precision + 1:], 'with 8 bits'),
      'JPEG CMYK of nobody': (cmyk[:adobe] + cmyk[adobe + 16:], 'CMYK'),
      'GIF with a small first frame': (gif[:6] + struct.pack('<HH', WIDTH + 10, HEIGHT + 3) + gif[10:], 'first frame'),
      'BMP palette of 8 bits': (encode(rgb.quantize(200), 'BMP'), 'palette'),
      'BMP palette of 4 bits': (bmp(indices[:, ::2] * 16 + indices[:, 1::2], 4, bytes(range(64))), 'palette'),
      'BMP of 1 bit': (encode(rgb.convert('1'), 'BMP'), 'palette'),
      'BMP of 16 bits': (bmp(np.asarray(grey).astype('<u2') * 128, 16), '24 bits'),
      'BMP compressed': (bmp(np.asarray(grey), 8, bytes(range(256)) * 4, compression=1), 'compressed'),
      'WebP animated': (encode(rgb, 'WEBP', **animated), 'animated'),
      'TIFF': (encode(rgb, 'TIFF'), 'is TIFF'),
      'JPEG 2000': (encode(rgb, 'JPEG2000'), 'is JPEG2000'),
      'PNG to be turned': (encode(rgb, 'PNG', exif=exif(6)), 'orientation 6'),
      'WebP to be turned': (encode(rgb, 'WEBP', exif=exif(8)), 'orientation 8'),
      'JPEG to be turned by XMP': (encode(rgb, 'JPEG', xmp=xmp), 'orientation 6'),
      'PNG to be turned by XMP': (encode(rgb, 'PNG', pnginfo=_xmp_of_png(xmp)), 'orientation 6'),
      'a bomb': (png(np.zeros((1, 1, 3), np.uint8), 8, 2, size=(20000, 20000)), 'pixels'),
  }


def _xmp_of_png(xmp):
  info = PngImagePlugin.PngInfo()
  info.add_itxt('XML:com.adobe.xmp', xmp.decode())
  return info
