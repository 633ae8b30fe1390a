// detection: what detectors end with. Boxes are (xmin, ymin, xmax, ymax).
// needs: vec run parallel lines
//
//   detection_output(r, s, locations, scores, priors, y, sizes)    rows (image, class, score, box), [1, 1, K, 7]
//   proposals(r, s, anchors, scores, deltas, image, rois, kept_scores, sizes)
//   scratch: as emit/detection.py computes it
namespace {

struct Box { float v[4]; };

MC_INLINE float common_area(const Box& a, const Box& b, float end) {
  float area = 1;
  for (int k = 0; k < 2; k++) {
    const float low = a.v[k] > b.v[k] ? a.v[k] : b.v[k], high = a.v[k + 2] < b.v[k + 2] ? a.v[k + 2] : b.v[k + 2];
    const float side = high - low + end;
    area *= side > 0 ? side : 0;
  }
  return area;
}

// Leaves of the n items of order (boxes, the best first) those that overlap no better one by more than a threshold,
// which shrinks by eta after each that is kept while it is above a half. Returns how many; at most `most`.
template <class F>
MC_INLINE int64_t suppressed(int64_t* order, int64_t n, const F& box, float overlap, float eta, float end, int64_t most) {
  int64_t kept = 0;
  while (n > kept && kept < most) {
    const int64_t first = kept++;  // the items behind it are those still in question
    const bool shrinks = eta < 1 && overlap > 0.5f;
    const float old = overlap;
    if (shrinks) overlap *= eta;
    int64_t left = kept;
    for (int64_t i = kept; i < n; i++) {
      const Box own = box(order[i]);
      const float area = common_area(own, own, end);
      bool keep = true;
      for (int64_t j = shrinks ? 0 : first; j < kept && keep; j++) {
        const Box other = box(order[j]);
        const float common = common_area(own, other, end), whole = area + common_area(other, other, end) - common;
        keep = !(common > overlap * whole) && !(j == first && common > old * whole);
      }
      if (keep) order[left++] = order[i];
    }
    n = left;
  }
  return kept;
}

enum Code { CODE_CORNER, CODE_CENTER_SIZE, CODE_CORNER_SIZE };

struct Detections {
  int64_t images, priors, classes, background, kinds, top, keep;  // kinds: 1 where classes share their boxes
  Code code;
  bool variances_encoded, clip;
  float overlap, eta, least;
};

MC_INLINE Box decoded(const Detections& s, const float* location, const float* prior, const float* variance) {
  float move[4], size[2] = {prior[2] - prior[0], prior[3] - prior[1]};
  Box b;
  for (int k = 0; k < 4; k++) move[k] = s.variances_encoded ? location[k] : location[k] * variance[k];
  for (int k = 0; k < 4; k++) {
    if (s.code == CODE_CORNER) {
      b.v[k] = prior[k] + move[k];
    } else if (s.code == CODE_CORNER_SIZE) {
      b.v[k] = prior[k] + move[k] * size[k & 1];
    } else {
      const float center = (prior[k & 1] + prior[(k & 1) + 2]) / 2 + move[k & 1] * size[k & 1];
      const float half_size = std::exp(move[(k & 1) + 2]) * size[k & 1] / 2;
      b.v[k] = k < 2 ? center - half_size : center + half_size;
    }
    if (s.clip) b.v[k] = b.v[k] < 0 ? 0 : b.v[k] > 1 ? 1 : b.v[k];
  }
  return b;
}

MC_NOINLINE void detection_output(Run& r, const Detections& s, const float* locations, const float* scores,
                                  const float* priors, float* y, int64_t* sizes) {
  int64_t* order = (int64_t*)r.scratch(0);          // [priors]
  int64_t* found = order + s.priors;                // [classes * priors]: class * priors + prior
  int64_t rows = 0;
  for (int64_t image = 0; image < s.images; image++) {
    const float* own = scores + image * s.priors * s.classes;
    const float* from = locations + image * s.priors * s.kinds * 4;
    const auto box_of = [&](int64_t label, int64_t prior) {
      const int64_t kind = s.kinds == 1 ? 0 : label;
      return decoded(s, from + (prior * s.kinds + kind) * 4, priors + prior * 4, priors + (s.priors + prior) * 4);
    };
    int64_t count = 0;
    for (int64_t label = 0; label < s.classes; label++) {
      if (label == s.background) continue;
      int64_t n = 0;
      for (int64_t p = 0; p < s.priors; p++)
        if (own[p * s.classes + label] > s.least) order[n++] = p;
      sort_by(order, n, [&](int64_t a, int64_t b) {
        const float u = own[a * s.classes + label], v = own[b * s.classes + label];
        return u < v || (u == v && a > b);
      });
      if (s.top >= 0 && n > s.top) n = s.top;
      n = suppressed(order, n, [&](int64_t p) { return box_of(label, p); }, s.overlap, s.eta, 0, n);
      for (int64_t i = 0; i < n; i++) found[count + i] = label * s.priors + order[i];
      // the order within a class breaks ties between equal scores, as does that of the classes
      count += n;
    }
    sort_by(found, count, [&](int64_t a, int64_t b) {
      const float u = own[a % s.priors * s.classes + a / s.priors], v = own[b % s.priors * s.classes + b / s.priors];
      return u < v || (u == v && a > b);
    });
    if (s.keep >= 0 && count > s.keep) count = s.keep;
    for (int64_t i = 0; i < count; i++, rows++) {
      const int64_t label = found[i] / s.priors, prior = found[i] % s.priors;
      const Box b = box_of(label, prior);
      float* row = y + rows * 7;
      row[0] = float(image), row[1] = float(label), row[2] = own[prior * s.classes + label];
      memcpy(row + 3, b.v, sizeof b.v);
    }
  }
  sizes[0] = 1, sizes[1] = 1, sizes[2] = rows, sizes[3] = 7;
}

struct Proposals { int64_t anchors, height, width, stride, before, after; float least, overlap; };

MC_NOINLINE void proposals(Run& r, const Proposals& s, const float* anchors, const float* scores, const float* deltas,
                           const float* image, float* rois, float* kept_scores, int64_t* roi_sizes, int64_t* sizes) {
  const int64_t plane = s.height * s.width, total = plane * s.anchors;
  int64_t* order = (int64_t*)r.scratch(0);
  Box* boxes = (Box*)(order + total);
  const auto score = [&](int64_t i) { return scores[(s.anchors + i % s.anchors) * plane + i / s.anchors]; };
  int64_t n = 0;
  for (int64_t i = 0; i < total; i++) {
    const int64_t a = i % s.anchors, place = i / s.anchors;
    const float shift[2] = {float(place % s.width * s.stride), float(place / s.width * s.stride)};
    bool large = true;
    for (int k = 0; k < 2; k++) {
      const float low = anchors[a * 4 + k] + shift[k], high = anchors[a * 4 + k + 2] + shift[k], side = high - low + 1;
      const float center = low + side / 2 + deltas[(a * 4 + k) * plane + place] * side;
      const float half_size = std::exp(deltas[(a * 4 + k + 2) * plane + place]) * side / 2;
      const float most = image[1 - k] - 1;
      const auto inside = [&](float v) { return v < 0 ? 0.f : v > most ? most : v; };
      boxes[i].v[k] = inside(center - half_size), boxes[i].v[k + 2] = inside(center + half_size);
      large &= boxes[i].v[k + 2] - boxes[i].v[k] + 1 >= s.least * image[2];
    }
    if (large) order[n++] = i;
  }
  sort_by(order, n, [&](int64_t a, int64_t b) { return score(a) < score(b) || (score(a) == score(b) && a > b); });
  if (s.before > 0 && n > s.before) n = s.before;
  n = suppressed(order, n, [&](int64_t i) { return boxes[i]; }, s.overlap, 1, 1, s.after > 0 ? s.after : n);
  for (int64_t i = 0; i < n; i++) {
    rois[i * 5] = 0;
    memcpy(rois + i * 5 + 1, boxes[order[i]].v, sizeof boxes[0].v);
    kept_scores[i] = score(order[i]);
  }
  roi_sizes[0] = n, roi_sizes[1] = 5, sizes[0] = n, sizes[1] = 1;
}

}  // namespace
