#include "services/worker-manager/core/image_retention.hpp"

#include <algorithm>

namespace codegen::worker_manager {

std::vector<std::string> removable_images(std::vector<ImageUse> images, Timestamp now,
                                          std::chrono::microseconds unused_for) {
    std::ranges::sort(images, {}, [](const ImageUse& i) { return std::pair(i.last_used, i.tag); });
    std::vector<std::string> out;
    for (auto& image : images)
        if (!image.in_use && std::min(image.last_used, now) + unused_for <= now) out.push_back(std::move(image.tag));
    return out;
}

bool CleanupSchedule::due(Timestamp now) {
    if (!next_) next_ = now + first_;
    next_ = std::min(*next_, now + std::max(first_, period_));  // the clock was set back
    return now >= *next_;
}

void CleanupSchedule::done(Timestamp now) { next_ = now + period_; }
void CleanupSchedule::failed(Timestamp now) { next_ = now + first_; }

}  // namespace codegen::worker_manager
