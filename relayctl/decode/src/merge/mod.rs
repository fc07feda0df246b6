//! All streams of a capture as one, by time.
//!
//! Of each stream the records come in their order, and what was lost, is missing or damaged comes
//! before the records that follow it. Of all streams together times never fall. A capture that is
//! there is known as a whole, so that this is a matter of sorting. Of one that [grows](LiveMerge)
//! a record may come when later ones of other streams have been shown: then a [note](What::Late)
//! says so first. The same note stands where the times of one stream fall, which no sound capture
//! has.

mod count;
mod cursor;
mod filter;
mod live;
mod note;
mod order;
mod shown;
mod streams;
mod wanted;

pub use count::StreamCount;
pub use filter::{CpuSet, Filter, FilterError};
pub use live::LiveMerge;
pub use note::{Note, Span, What};
pub use order::Order;
pub use shown::{Next, Shown};
pub use streams::Merge;
