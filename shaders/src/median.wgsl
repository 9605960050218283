// Takes away vectors that their surroundings do not bear out: the median of 3 × 3, part by part.
//
// Inputs:  grid (columns × rows): one vector per block, x in the lower and y in the upper half; 0x80008000 where unknown.
// Outputs: made (columns × rows): the median of the known ones, 0x80008000 where none is known.
// Spaces:  vectors in any unit; beyond its edges the grid goes on as at them.
// Cost:    9 loads of 4 bytes per block (one of them new), about 350 comparisons and additions.

struct Shape {
    columns: u32,
    rows: u32,
    unused: vec2<u32>,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read> grid: array<u32>;
@group(0) @binding(2) var<storage, read_write> made: array<u32>;

fn parts(vector: u32) -> vec2<i32> {
    return vec2<i32>(i32(vector << 16u), i32(vector)) >> vec2<u32>(16u);
}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= shape.columns || id.y >= shape.rows {
        return;
    }
    let last = vec2<i32>(i32(shape.columns), i32(shape.rows)) - 1;
    var votes: array<vec2<i32>, 9>;
    for (var vote = 0; vote < 9; vote++) {
        let place = clamp(vec2<i32>(id.xy) + vec2<i32>(vote % 3, vote / 3) - 1, vec2<i32>(0), last);
        let vector = parts(grid[u32(place.y) * shape.columns + u32(place.x)]);
        // The unknown ones go to either extreme in turn, so that they cancel each other.
        let extreme = select(32767, -32768, vote % 2 == 0);
        votes[vote] = select(vector, vec2<i32>(extreme), vector == vec2<i32>(-32768));
    }
    // The fifth: at most four are less than it, at least five are no more.
    var middle = votes[0];
    for (var one = 0; one < 9; one++) {
        var less = vec2<i32>(0);
        var no_more = vec2<i32>(0);
        for (var other = 0; other < 9; other++) {
            less += select(vec2<i32>(0), vec2<i32>(1), votes[other] < votes[one]);
            no_more += select(vec2<i32>(0), vec2<i32>(1), votes[other] <= votes[one]);
        }
        middle = select(middle, votes[one], (less <= vec2<i32>(4)) & (no_more >= vec2<i32>(5)));
    }
    var vector = (u32(middle.x) & 0xffffu) | (u32(middle.y) << 16u);
    if any(abs(middle) >= vec2<i32>(32767)) {
        vector = 0x80008000u;
    }
    made[id.y * shape.columns + id.x] = vector;
}
