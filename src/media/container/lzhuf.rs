//! LZHUF, the "advanced compression" of Teledisk: matches in a window of 4,096 bytes that begins as spaces. The lengths
//! of the matches share an adaptive Huffman code with the bytes that match nothing.

/// The longest match.
const LONGEST: usize = 60;
/// The shortest match is one byte longer.
const THRESHOLD: usize = 2;
/// The symbols: 256 bytes, and the lengths of matches.
const SYMBOLS: usize = 256 + LONGEST - THRESHOLD;
/// The nodes of the code tree.
const NODES: usize = 2 * SYMBOLS - 1;
const ROOT: usize = NODES - 1;
/// The weight of the root at which all weights are halved.
const MOST: u16 = 0x8000;

/// Returns the expanded bytes, or `None` if there are more than `most`.
pub(super) fn expand(bytes: &[u8], most: usize) -> Option<Vec<u8>> {
    let mut bits = Bits { bytes, at: 0 };
    let mut tree = Tree::new();
    let mut out = Vec::new();
    // The file does not say how many bytes there are: the last bits are of no symbol.
    while let Some(symbol) = tree.decode(&mut bits) {
        if symbol < 256 {
            out.push(symbol as u8);
        } else {
            let length = symbol - 256 + THRESHOLD + 1;
            let Some(distance) = distance(&mut bits) else { break };
            for _ in 0..length {
                let byte = out.len().checked_sub(distance).map_or(b' ', |at| out[at]);
                out.push(byte);
            }
        }
        if out.len() > most {
            return None;
        }
    }
    Some(out)
}

/// Reads how far back a match is, 1 to 4,096: the upper six bits in a code of three to eight bits, the others as they
/// are.
fn distance(bits: &mut Bits<'_>) -> Option<usize> {
    // How many codes have 3, 4, 5, 6, 7 and 8 bits. They ascend from 000 on.
    const CODES: [usize; 6] = [1, 3, 8, 12, 24, 16];
    let mut code = bits.take(3)?;
    // The first code of the length, and how many codes are shorter.
    let (mut first, mut shorter) = (0, 0);
    for count in CODES {
        if code < first + count {
            let upper = shorter + code - first;
            return Some((upper << 6 | bits.take(6)?) + 1);
        }
        (first, shorter) = ((first + count) << 1, shorter + count);
        code = code << 1 | bits.take(1)?;
    }
    None
}

/// The bits of a file, from the highest of a byte to the lowest.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    /// Reads a number of `count` bits, or returns `None` if there are fewer.
    fn take(&mut self, count: usize) -> Option<usize> {
        let mut value = 0;
        for _ in 0..count {
            let byte = self.bytes.get(self.at / 8)?;
            value = value << 1 | usize::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(value)
    }
}

/// The code tree: nodes in ascending order of weight. The two children of a node are neighbours.
struct Tree {
    weights: [u16; NODES],
    /// Of an inner node its first child; of a leaf its symbol, plus `NODES`.
    contents: [usize; NODES],
    /// The parent of each node, and behind those the leaf of each symbol.
    parents: [usize; NODES + SYMBOLS],
}

impl Tree {
    fn new() -> Self {
        let mut tree = Self { weights: [1; NODES], contents: [0; NODES], parents: [0; NODES + SYMBOLS] };
        for symbol in 0..SYMBOLS {
            tree.put(symbol, symbol + NODES);
        }
        for (node, child) in (SYMBOLS..NODES).zip((0..).step_by(2)) {
            tree.weights[node] = tree.weights[child] + tree.weights[child + 1];
            tree.put(node, child);
        }
        tree
    }

    /// Puts a leaf or the children of an inner node into `node`.
    fn put(&mut self, node: usize, contents: usize) {
        self.contents[node] = contents;
        self.parents[contents] = node;
        if contents < NODES {
            self.parents[contents + 1] = node;
        }
    }

    /// Reads a symbol and counts it.
    fn decode(&mut self, bits: &mut Bits<'_>) -> Option<usize> {
        let mut contents = self.contents[ROOT];
        while contents < NODES {
            contents = self.contents[contents + bits.take(1)?];
        }
        let symbol = contents - NODES;
        self.count(symbol);
        Some(symbol)
    }

    /// Adds one to the weight of a symbol and of all nodes above it. A node that gets heavier than those behind it changes
    /// places with the last of them.
    fn count(&mut self, symbol: usize) {
        if self.weights[ROOT] == MOST {
            self.halve();
        }
        let mut node = self.parents[symbol + NODES];
        loop {
            let weight = self.weights[node] + 1;
            let lighter = self.weights[node + 1..].iter().take_while(|&&other| other < weight).count();
            let target = node + lighter;
            if lighter > 0 {
                self.weights[node] = self.weights[target];
                let (own, other) = (self.contents[node], self.contents[target]);
                self.put(target, own);
                self.put(node, other);
            }
            self.weights[target] = weight;
            if target == ROOT {
                return;
            }
            node = self.parents[target];
        }
    }

    /// Halves the weights of the leaves, rounded up, and builds the tree again.
    fn halve(&mut self) {
        let leaves: Vec<_> = (0..NODES).filter(|&node| self.contents[node] >= NODES).collect();
        let leaves: Vec<_> =
            leaves.into_iter().map(|node| (self.weights[node].div_ceil(2), self.contents[node])).collect();
        let mut nodes = leaves;
        // Each pair of neighbours gets a parent, behind all nodes that are not heavier.
        for child in (0..).step_by(2).take(SYMBOLS - 1) {
            let weight = nodes[child].0 + nodes[child + 1].0;
            let place = nodes.iter().rposition(|&(other, _)| other <= weight).map_or(0, |last| last + 1);
            nodes.insert(place, (weight, child));
        }
        for (node, (weight, contents)) in nodes.into_iter().enumerate() {
            self.weights[node] = weight;
            self.put(node, contents);
        }
    }
}
