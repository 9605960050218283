// Where each block of one picture lies in the other, looked for from what is known around it: one pass.
//
// Inputs:  planes: the plane whose blocks these are and the other, as pyramid.wgsl makes them; known: vectors by blocks of
//          `side` times the side; soft: smoothed vectors by these blocks.
// Outputs: found: one vector per block, x in the lower and y in the upper half.
// Spaces:  blocks of 4 × 4 samples; vectors in 1/16 pixel, from the earlier to the later picture; a sample covers two pixels
//          in each direction on level 0, four on level 1. Beyond its edges a plane goes on as at them.
// Cost:    per block up to ten fits of 27 loads of 4 bytes and about 1500 operations each; one store.

struct Shape {
    columns: u32,
    rows: u32,
    // Words from row to row of both planes, and their samples.
    stride: u32,
    plane_columns: i32,
    plane_rows: i32,
    level: u32,
    // How far away the blocks are that hand on what they know.
    apart: i32,
    side: i32,
    known_columns: i32,
    known_rows: i32,
    // 1 where the blocks are the earlier picture's, −1 where they are the later one's.
    ahead: i32,
    // Where both planes begin, in words.
    here: u32,
    there: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read> planes: array<u32>;
@group(0) @binding(2) var<storage, read> known: array<u32>;
@group(0) @binding(3) var<storage, read> soft: array<u32>;
@group(0) @binding(4) var<storage, read_write> found: array<u32>;

const MARGIN = 16;
const WINDOW = 8;
const SAMPLES = 64;
const STEPS = 3;
const FARTHEST = 256;
const LONGEST = 8192;
const FLAT = 832;
const EASY = 2048;

// Of the window's rows, by halves: codes in quarters, and the differences of neighbours along rows and along columns.
var<private> codes: array<vec4<i32>, 16>;
var<private> across: array<vec4<i32>, 16>;
var<private> down: array<vec4<i32>, 16>;
var<private> corner: vec2<i32>;
// Sums of the differences, and those of their squares and products about their means, times the samples.
var<private> sums: vec2<i32>;
var<private> squares: vec3<i32>;

struct Fit {
    cost: i32,
    pull: vec2<i32>,
}

fn parts(vector: u32) -> vec2<i32> {
    return vec2<i32>(i32(vector << 16u), i32(vector)) >> vec2<u32>(16u);
}

fn known_at(place: vec2<i32>) -> vec2<i32> {
    // Places left of and above the first are moved onto it, as those beyond the last onto that.
    let group = clamp(place, vec2<i32>(0), vec2<i32>(shape.known_columns, shape.known_rows) * shape.side - 1) / shape.side;
    return parts(known[u32(group.y * shape.known_columns + group.x)]);
}

// Twelve bytes from one of them on.
fn shifted(words: vec3<u32>, first: u32) -> vec3<u32> {
    if first == 0u {
        return words;
    }
    return (words >> vec3<u32>(8u * first)) | (vec3<u32>(words.yz, 0u) << vec3<u32>(32u - 8u * first));
}

fn bytes(word: u32) -> vec4<i32> {
    return vec4<i32>((vec4<u32>(word) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(255u));
}

// Where a window of so many samples begins in a plane with its margin: one that lies further out is all edge.
fn placed(place: vec2<i32>, side: i32) -> vec2<u32> {
    return vec2<u32>(clamp(place, vec2<i32>(-MARGIN), vec2<i32>(shape.plane_columns, shape.plane_rows) + MARGIN - side) + MARGIN);
}

fn row_at(plane: u32, place: vec2<u32>) -> vec3<u32> {
    let at = plane + place.y * shape.stride + place.x / 4u;
    return shifted(vec3<u32>(planes[at], planes[at + 1u], planes[at + 2u]), place.x % 4u);
}

fn sum_of(one: vec4<i32>, other: vec4<i32>) -> i32 {
    return dot(one, vec4<i32>(1)) + dot(other, vec4<i32>(1));
}

fn look_here(block: vec2<i32>) {
    corner = 4 * block - 2;
    let first = placed(corner - 1, WINDOW + 2);
    var above = row_at(shape.here, first);
    var row = row_at(shape.here, first + vec2<u32>(0u, 1u));
    sums = vec2<i32>(0);
    var products = vec3<i32>(0);
    for (var at = 0u; at < 8u; at++) {
        let below = row_at(shape.here, first + vec2<u32>(0u, at + 2u));
        let a = bytes(row.x);
        let b = bytes(row.y);
        let c = bytes(row.z);
        codes[2u * at] = 4 * vec4<i32>(a.yzw, b.x);
        codes[2u * at + 1u] = 4 * vec4<i32>(b.yzw, c.x);
        let across_a = vec4<i32>(a.zw, b.xy) - a;
        let across_b = vec4<i32>(b.zw, c.xy) - b;
        let upper = shifted(above, 1u);
        let lower = shifted(below, 1u);
        let down_a = bytes(lower.x) - bytes(upper.x);
        let down_b = bytes(lower.y) - bytes(upper.y);
        across[2u * at] = across_a;
        across[2u * at + 1u] = across_b;
        down[2u * at] = down_a;
        down[2u * at + 1u] = down_b;
        sums += vec2<i32>(sum_of(across_a, across_b), sum_of(down_a, down_b));
        products += vec3<i32>(
            dot(across_a, across_a) + dot(across_b, across_b),
            dot(across_a, down_a) + dot(across_b, down_b),
            dot(down_a, down_a) + dot(down_b, down_b),
        );
        above = row;
        row = below;
    }
    squares = SAMPLES * products - vec3<i32>(sums.x * sums.x, sums.x * sums.y, sums.y * sums.y) + vec3<i32>(FLAT, 0, FLAT);
}

// A row of samples between columns, in two halves and in quarters of a code.
struct Between {
    a: vec4<i32>,
    b: vec4<i32>,
}

fn between(row: vec3<u32>, right: i32) -> Between {
    let a = bytes(row.x);
    let b = bytes(row.y);
    let c = bytes(row.z);
    return Between(
        (a * (32 - right) + vec4<i32>(a.yzw, b.x) * right + 4) >> vec4<u32>(3u),
        (b * (32 - right) + vec4<i32>(b.yzw, c.x) * right + 4) >> vec4<u32>(3u),
    );
}

fn fit(vector: vec2<i32>) -> Fit {
    let level = vec2<u32>(shape.level);
    let place = 32 * corner + ((shape.ahead * vector + vec2<i32>(level)) >> level);
    let first = placed(place >> vec2<u32>(5u), WINDOW + 1);
    let share = place & vec2<i32>(31);
    var upper = between(row_at(shape.there, first), share.x);
    var sum = 0;
    var square = 0;
    var pull = vec2<i32>(0);
    for (var at = 0u; at < 8u; at++) {
        let lower = between(row_at(shape.there, first + vec2<u32>(0u, at + 1u)), share.x);
        let a = ((upper.a * (32 - share.y) + lower.a * share.y + 16) >> vec4<u32>(5u)) - codes[2u * at];
        let b = ((upper.b * (32 - share.y) + lower.b * share.y + 16) >> vec4<u32>(5u)) - codes[2u * at + 1u];
        sum += sum_of(a, b);
        square += dot(a, a) + dot(b, b);
        pull += vec2<i32>(
            dot(a, across[2u * at]) + dot(b, across[2u * at + 1u]),
            dot(a, down[2u * at]) + dot(b, down[2u * at + 1u]),
        );
        upper = lower;
    }
    let size = u32(abs(sum));
    return Fit(square - i32(size * size / u32(SAMPLES)), SAMPLES * pull - sums * sum);
}

fn stepped(vector: vec2<i32>, pulled: vec2<i32>) -> vec2<i32> {
    let square = vec3<f32>(squares);
    let pull = vec2<f32>(pulled);
    let scale = -16.0 * f32(shape.ahead) * f32(1u << shape.level) / (square.x * square.z - square.y * square.y);
    let step = vec2<f32>(square.z * pull.x - square.y * pull.y, square.x * pull.y - square.y * pull.x) * scale;
    let whole = vec2<i32>(floor(clamp(step, vec2<f32>(-512.0), vec2<f32>(512.0)) + 0.5));
    return clamp(vector + whole, vec2<i32>(-LONGEST), vec2<i32>(LONGEST));
}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= shape.columns || id.y >= shape.rows {
        return;
    }
    let block = vec2<i32>(id.xy);
    let cell = id.y * shape.columns + id.x;
    look_here(block);
    var best = known_at(block);
    var least = fit(best);
    for (var candidate = -1; candidate < 5; candidate++) {
        var vector = select(vec2<i32>(0), parts(soft[cell]), candidate < 0);
        if candidate > 0 {
            let sign = 1 - 2 * (candidate & 1);
            let along = select(vec2<i32>(0, 1), vec2<i32>(1, 0), candidate < 3);
            vector = known_at(block + sign * shape.apart * along);
        }
        if least.cost <= EASY {
            break;
        }
        let fitted = fit(vector);
        if fitted.cost < least.cost {
            best = vector;
            least = fitted;
        }
    }
    let start = best;
    for (var at = 0; at < STEPS; at++) {
        let vector = stepped(best, least.pull);
        let far = abs(vector - start);
        if all(vector == best) || max(far.x, far.y) > FARTHEST {
            break;
        }
        let fitted = fit(vector);
        if fitted.cost >= least.cost {
            break;
        }
        best = vector;
        least = fitted;
    }
    found[cell] = (u32(best.x) & 0xffffu) | (u32(best.y) << 16u);
}
